"""How the options of a row are ranked: a rule over log-probabilities, and a correction of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from formats.base import Format
from formats.errors import ConfigError, UnknownName
from formats.examples import MultipleChoice, RelationClassification, TextClassification
from formats.instances import Raw, Scores

if TYPE_CHECKING:
    from tasks.task import Task

    from .backbones import Backbone

RULES = ("sum", "token", "byte", "pmi", "channel", "perplexity")
CALIBRATIONS = ("none", "contextual", "batch", "quantile")
OVER_ROWS = ("batch", "quantile")  # calibrations that read all rows before the first answer
CLOSED = (TextClassification, MultipleChoice, RelationClassification)


@dataclass(frozen=True)
class Ranking:
    """``rule``: what a language model's options are ranked by; None: as the model is set.

    | rule       | an option's score                                                           |
    |------------|-----------------------------------------------------------------------------|
    | sum        | log p(option given source)                                                  |
    | token      | the same per token                                                          |
    | byte       | the same per byte of the option's text (UTF-8)                              |
    | pmi        | sum, less log p(option given ``premise``; None: the prompt with no input)   |
    | channel    | log p(source given option)                                                  |
    | perplexity | mean log-probability of every token of source and option; causal, 0 shots   |

    ``calibrate``: ``contextual`` divides an option's probability by that after content-free inputs
    in the same prompt, ``batch`` by its mean over all rows (see :mod:`unify.scoring.calibrate`);
    ``quantile`` (entail) has equal shares of all rows pass each label's threshold.
    ``end``: whether an option's score has the sign that ends a text.
    """

    rule: str | None = None
    calibrate: str = "none"
    premise: str | None = None
    end: bool = True

    def __post_init__(self) -> None:
        if self.rule is not None and self.rule not in RULES:
            raise UnknownName("rule", self.rule, RULES, field="evaluation.rule")
        if self.calibrate not in CALIBRATIONS:
            raise UnknownName(
                "calibration", self.calibrate, CALIBRATIONS, field="evaluation.calibrate"
            )
        if self.calibrate != "none" and self.rule in ("pmi", "channel"):
            raise ConfigError(
                f"calibration of {self.rule}, which is no probability of the option",
                got=self.calibrate,
                fix="evaluation.calibrate=none, or rule=sum, token or byte",
            )
        if self.premise is not None and self.rule != "pmi":
            raise ConfigError("a premise without pmi", got=self.premise, fix="evaluation.rule=pmi")

    @property
    def scored(self) -> str | None:
        """The rule of one request alone, which the backbone computes."""
        return "sum" if self.rule in ("pmi", "channel") else self.rule

    @property
    def free(self) -> tuple[str, ...]:
        """Inputs that say nothing, with which rows are scored as well."""
        from .scoring.calibrate import CONTENT_FREE

        return {"pmi": ("",)}.get(
            self.rule or "", CONTENT_FREE if self.calibrate == "contextual" else ()
        )

    def refuse(self, backbone: Backbone, format: Format, shots: Sequence[int] = (0,)) -> None:
        """Raises ConfigError where the model or the format has nothing to rank so."""
        if self == AS_SET:
            return
        if self.calibrate == "quantile":
            if format.name != "entail" or self.rule is not None:
                raise ConfigError(
                    "quantile thresholds of other than hypotheses", got=(format.name, self.rule),
                    fix="format=entail without evaluation.rule",
                )  # fmt: skip
            return
        kind = backbone.layout.kind
        if kind == "encoder":
            raise ConfigError(
                "a rule for options that no language model scores",
                got=f"an encoder that answers as {format.name}",
                expected="a causal, seq2seq or masked language model",
                fix="leave evaluation.rule, calibrate and end out",
            )
        if format.name != "generate" and (self.free or self.calibrate == "batch"):
            raise ConfigError(
                "a correction for content-free inputs in another format",
                got=format.name,
                fix="format=generate",
            )
        if self.rule == "perplexity" and kind != "causal":
            raise ConfigError(
                f"the perplexity of a whole statement from a {kind} model, which does not say how "
                "probable a source is",
                expected="a causal model",
                fix="evaluation.rule=sum",
            )
        if self.rule == "perplexity" and max(shots):
            raise ConfigError(
                "the perplexity of a statement with demonstrations in it",
                got=list(shots),
                fix="evaluation.shots=[0]",
            )
        if self.rule == "channel" and kind == "masked":
            raise ConfigError(
                "p(source given option) from a masked model, whose blanks do not see each other",
                expected="a causal or seq2seq model",
                fix="evaluation.rule=sum",
            )

    def refusal(self, task: Task) -> str | None:
        """Why ``task`` has no options to rank so, or None."""
        if not issubclass(task.type, CLOSED):
            if self.free or self.calibrate != "none" or self.rule in ("channel", "perplexity"):
                name = self.rule if self.calibrate == "none" else f"{self.calibrate} calibration"
                return f"{name} ranks listed options, and {task.type.__name__} has none"
        elif self.calibrate in OVER_ROWS and task.labels is None:
            return f"{self.calibrate} calibration needs the same options in every row"
        return None

    def corrected(self, own: Raw, free: Sequence[Raw]) -> Raw:
        """``own`` against what the ``free`` inputs' scores prefer."""
        assert isinstance(own, Scores)
        priors = [f.values for f in free if isinstance(f, Scores)]
        if self.rule == "pmi":
            return Scores(tuple(a - b for a, b in zip(own.values, priors[0], strict=True)))
        from .scoring.calibrate import in_logs

        return Scores(tuple(in_logs([own.values], priors)[0].tolist()))


AS_SET = Ranking()  # as the model is set, uncorrected
