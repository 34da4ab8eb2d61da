"""What k-shot evaluation may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from formats.episodes import Direction
from formats.errors import ConfigError, UnknownName
from tasks.task import Task

from .data.altered import check, needs_labels
from .data.chat import MODES
from .data.choices import CHOICES, PER_ROW
from .data.episodes import Episodes
from .demonstrations.order import SCORES

ORDERS = ("drawn", "all", *SCORES)
TOLD = ("perplexity", "information")  # choices by what a model says to plain texts


@dataclass(frozen=True)
class FewShot:
    """Every unseen task is evaluated once per number of ``shots`` and kind of ``labels`` (of the
    demonstrations, :mod:`unify.data.altered`), as the mean over ``seeds`` that demonstrations are
    drawn with; and once per number of ``steps``: gradient steps of rate ``step_lr`` on the same
    rows, which are then not shown.

    ``choose`` says which rows demonstrate (:mod:`unify.data.choices`), ``encoder`` what they are
    compared with, ``search`` how. ``orders``: ``drawn``, ``all`` (the mean over them), or the best
    by ``global_entropy``, ``local_entropy`` or ``mutual_information`` over probes that the model
    writes. ``templates``: the mean over these ways of asking (:mod:`unify.ways`). ``others``: the
    task whose inputs stand in for a task's own. ``chat``: whether rows are asked in the model's
    chat template (:mod:`unify.data.chat`). The other settings are those of
    :class:`~unify.data.episodes.Episodes`."""

    shots: tuple[int, ...] = (0,)
    labels: tuple[str, ...] = ("gold",)
    seeds: tuple[int, ...] = (0,)
    direction: Direction = "direct"
    instruction: bool = False
    style: str = "prompt"
    budget: int | None = None
    steps: tuple[int, ...] = ()
    step_lr: float = 0.05
    choose: str = "random"
    encoder: str | None = None
    search: str = "exact"
    orders: str = "drawn"
    templates: tuple[str, ...] = ()
    others: str | None = None
    chat: str = "off"

    def __post_init__(self) -> None:
        if self.choose not in CHOICES:
            raise ConfigError("unknown choice", got=self.choose, expected=", ".join(CHOICES))
        if self.chat not in MODES:
            raise UnknownName("chat", self.chat, MODES, field="evaluation.chat")
        if self.chat != "off" and self.direction == "channel":
            raise ConfigError("channel scoring in a chat", fix="evaluation.chat=off")
        told = {self.orders} & set(SCORES) | {self.choose} & set(TOLD)
        if self.chat != "off" and told:
            raise ConfigError(
                "demonstrations chosen or ordered by what a model says, in a chat",
                got=", ".join(sorted(told)),
                expected="rows that are asked as these probes are: without a chat template",
                fix="evaluation.chat=off",
            )
        if self.steps and self.choose != "random":
            raise ConfigError(
                "gradient steps on rows that are not drawn at random",
                got=self.choose,
                fix="evaluation.choose=random, or no evaluation.steps",
            )
        if not self.labels:
            raise ConfigError("no kind of labels", fix="evaluation.labels=[gold]")
        for label in self.labels:
            check(label)
        if self.orders not in ORDERS:
            raise UnknownName("orders", self.orders, ORDERS, field="evaluation.orders")
        if self.orders != "drawn" and self.choose in PER_ROW:
            raise ConfigError(
                "orders of demonstrations that differ from row to row",
                got=self.choose,
                fix="evaluation.orders=drawn, or evaluation.choose=random",
            )
        if self.orders == "all" and self.choose == "per_label":
            raise ConfigError(
                "all orders of so many demonstrations of every label",
                fix="evaluation.choose=balanced, or evaluation.orders=drawn",
            )
        if any(n < 1 for n in self.steps) or self.step_lr <= 0:
            raise ConfigError(
                "no gradient steps", got=(self.steps, self.step_lr), expected="at least one"
            )
        if not self.seeds or not self.shots:
            raise ConfigError(
                "k-shot evaluation without shots or seeds",
                got=(self.shots, self.seeds),
                expected="at least one of each",
            )
        _ = self.episodes

    @property
    def episodes(self) -> Episodes:
        """How an unseen task's episodes are asked."""
        return Episodes(
            self.shots,
            self.direction,
            dense=False,
            instruction=self.instruction,
            style=self.style,  # type: ignore[arg-type]
            budget=self.budget,
        )

    @property
    def plain(self) -> bool:
        """Whether this is nothing but zero-shot evaluation with the tasks' own prompts."""
        return self == FewShot(seeds=self.seeds, labels=self.labels)

    def cells(self) -> list[tuple[int, str, str]]:
        """(shots, labels, name of the setting). Without demonstrations labels do not matter."""
        found = []
        for shots in self.shots:
            for label in self.labels if shots else ("gold",):
                said = "" if label == "gold" else f", {label.replace('_', ' ')}"
                found.append((shots, label, f"{shots}-shot{said}"))
        return found

    def refusal(self, task: Task) -> str | None:
        """Why ``task`` cannot be evaluated so, or None."""
        fixed = task.labels is not None and task.kind != "multilabel"
        if fixed or not max(self.shots):
            return None
        drawn = [label for label in self.labels if needs_labels(label)]
        if drawn:
            return f"{drawn[0].replace('_', ' ')} in demonstrations need a fixed set of labels"
        if self.orders in SCORES or self.choose == "information":
            return "probing with a model's own texts needs a fixed set of labels"
        return None
