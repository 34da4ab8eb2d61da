"""Language models: generate natively, entail through the words yes and no."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from formats.collate import Batch, collate, sources
from formats.errors import ConfigError
from formats.examples import MultipleChoice, RelationClassification, TextClassification
from formats.instances import Raw, Scores, Text
from formats.layout import Coder
from formats.store import StoredRow

from . import branches
from .base import Backbone, Partial

if TYPE_CHECKING:
    from ..scoring.engine import Engine
    from ..scoring.kept import Kept

CLOSED = (TextClassification, MultipleChoice, RelationClassification)  # generate scores options


class Targets(NamedTuple):
    """Target tokens ``ids [m]`` in reading order, the logits ``[m, words]`` that predict them, and
    which of the ``number`` targets each belongs to (``of [m]``): sequences, or their branches."""

    logits: Tensor
    ids: Tensor
    of: Tensor
    number: int


class LanguageModel(Backbone):
    """What causal, seq2seq and masked models share: target log-probabilities and their sums.

    ``score``: ``mean`` ranks options by log-probability per token, ``sum`` by their whole
    log-probability. Options are always scored whole.
    """

    format: ClassVar = ("generate", "entail")

    def __init__(self, model: Any, coder: Coder, *, score: Literal["mean", "sum"] = "mean") -> None:
        super().__init__(model, coder)
        if score not in ("mean", "sum"):
            raise ConfigError("unknown scoring", got=score, expected="mean or sum")
        self.score = score
        self.engine: Engine | None = None
        self.kept: Kept | None = None  # scores of earlier evaluations

    def at_once(self, row: StoredRow) -> bool:
        if not self.sharing or not row.candidates or not row.widths.all():
            return False
        if self.layout.kind != "masked":
            self.scorer()
        begins = len(row.shared) + len(self.layout.single_before) > 0
        return begins and self.engine is not None and self.engine.path == "shared"

    def scorer(self) -> Engine:
        """The engine that scores this model's requests, made when it is first needed."""
        if self.engine is None:
            from ..scoring.engine import Engine

            self.engine = Engine(self.model, self.coder)
        return self.engine

    def unshared(self) -> str | None:
        return self.engine.why if self.sharing and self.engine is not None else None

    def head_options(self) -> dict[str, object]:
        return {"score": self.score}

    @abstractmethod
    def targets(self, batch: Batch) -> Targets:
        """What is to be predicted, and the logits there."""

    def loss(self, batch: Batch) -> Tensor:
        found = self.targets(batch)
        return cross_entropy(found.logits.float(), found.ids, reduction="sum")

    def log_probabilities(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Whole log-probability of each target ``[n]``, and its number of tokens ``[n]``."""
        found = self.targets(batch)
        losses = cross_entropy(found.logits.float(), found.ids, reduction="none")
        total = losses.new_zeros(found.number).index_add(0, found.of, -losses)
        return total, torch.bincount(found.of, minlength=found.number)

    def predict(self, rows: Sequence[StoredRow]) -> list[Partial]:
        closed = [r for r in rows if r.candidates > 0]
        free = [r for r in rows if r.candidates == 0]
        return [*self._score(closed), *self._write(free)]

    def _score(self, rows: list[StoredRow]) -> list[Partial]:
        if not rows:
            return []
        if self.rule == "perplexity" or all(map(self.at_once, rows)):
            return self._score_tree(rows)
        batch = collate(rows, self.layout, "generate", score=True).to(self.device)
        total, count = self.log_probabilities(batch)
        found: list[list[tuple[float, int]]] = [[] for _ in rows]
        for r, *one in zip(batch.row_of.tolist(), total.tolist(), count.tolist(), strict=True):
            found[r].append((one[0], one[1]))
        return [self._ranked(row, own) for row, own in zip(rows, found, strict=True)]

    def _score_tree(self, rows: list[StoredRow]) -> list[Partial]:
        from .tree import scored

        found = scored(self.scorer(), rows, whole=self.rule == "perplexity", kept=self.kept)
        return [
            self._ranked(row, [(s.logprob, s.tokens) for s in own])
            for row, own in zip(rows, found, strict=True)
        ]

    def _ranked(self, row: StoredRow, found: Sequence[tuple[float, int]]) -> Partial:
        """``found`` (log-probability, tokens) per option, by the rule in force."""
        rule = self.rule or {"mean": "token"}.get(self.score, self.score)
        by = [tokens for _, tokens in found]
        if rule == "byte":
            by = [len(self.coder.text(v.tolist()).encode()) or 1 for v in row.variant_ids()]
        elif rule == "sum":
            by = [1] * len(found)
        values = tuple(total / n for (total, _), n in zip(found, by, strict=True))
        return Partial(row.row, row.instance, Scores(values))

    def _write(self, rows: list[StoredRow]) -> list[Partial]:
        if not rows:
            return []
        texts = self.continued(rows) if self.stop else self.generate(rows)
        raws: list[Raw] = [Text(t) for t in texts]
        return [Partial(r.row, r.instance, raw) for r, raw in zip(rows, raws, strict=True)]

    def continued(self, rows: Sequence[StoredRow]) -> list[str]:
        """As :meth:`generate`, up to the first of the strings :attr:`stop`; what the sources have
        in common is computed once."""
        from ..scoring.write import Writing, write

        how = Writing(tokens=self.layout.max_target, stop=self.stop)
        contexts = [tuple(r.shared.tolist()) for r in rows]
        return [written.text.strip() for written in write(self.scorer(), contexts, how)]

    def habits(self) -> Any:
        """How it writes: greedily, at most ``layout.max_target`` tokens, as a GenerationConfig."""
        from transformers import GenerationConfig

        layout = self.layout
        model: Any = self.model
        return GenerationConfig(
            max_new_tokens=layout.max_target,
            do_sample=False,
            num_beams=1,
            eos_token_id=layout.eos,
            pad_token_id=layout.pad,
            bos_token_id=layout.bos,
            decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
        )

    def generate(self, rows: Sequence[StoredRow]) -> list[str]:
        """Greedy continuations of the rows' sources, at most ``layout.max_target`` tokens."""
        ids, mask = sources(rows, self.layout)
        layout = self.layout
        model: Any = self.model
        # A published model's habits (beams, penalties, forced ends) are not ours: set them aside.
        published = model.generation_config
        model.generation_config = self.habits()
        try:
            out = model.generate(input_ids=ids.to(self.device), attention_mask=mask.to(self.device))
        finally:
            model.generation_config = published
        start = ids.shape[1] if layout.kind == "causal" else 1
        texts = []
        for sequence in out[:, start:].tolist():
            if layout.eos in sequence:
                sequence = sequence[: sequence.index(layout.eos)]
            texts.append(self.coder.text(sequence))
        return texts


def _at(model: Any, target: Tensor, width: int, **inputs: Any) -> Targets:
    """The logits of ``model``'s sequences of ``width`` tokens where ``target [n, T]`` is one."""
    from ..scoring._logits import logits_at

    row, column = (target != -100).nonzero(as_tuple=True)
    logits = logits_at(model, row * width + column, **inputs)
    return Targets(logits, target[row, column], row, len(target))


class CausalBackbone(LanguageModel):
    """GPT- and Llama-shaped models; logits only where a target stands."""

    can: ClassVar = frozenset({"score", "generate"})
    name: ClassVar = "causal"

    @cached_property
    def places(self) -> bool:
        """Whether the model takes positions (those that do not, find them from the mask)."""
        return "position_ids" in inspect.signature(self.model.forward).parameters

    def targets(self, batch: Batch) -> Targets:
        assert batch.target is not None
        kwargs: dict[str, Any] = {
            "input_ids": batch.ids,
            "attention_mask": batch.mask,
            "use_cache": False,
        }
        if batch.branch is not None:
            kwargs["attention_mask"] = branches.mask(self.model, batch)
            kwargs["position_ids"] = batch.places
        elif self.places:  # padding stands on the left: say where each text begins
            kwargs["position_ids"] = (batch.mask.cumsum(1) - 1).clamp(min=0)
        # Position t predicts token t + 1.
        found = _at(self.model, batch.target[:, 1:], batch.ids.shape[1], **kwargs)
        if batch.branch is None:
            return found
        branch = batch.branch[:, 1:][batch.target[:, 1:] != -100]
        groups, of = torch.stack([found.of, branch], 1).unique(dim=0, return_inverse=True)
        return found._replace(of=of, number=len(groups))


class Seq2SeqBackbone(LanguageModel):
    """T5- and BART-shaped models; the encoder runs once per row whatever its options."""

    can: ClassVar = frozenset({"score", "generate"})
    name: ClassVar = "seq2seq"

    def targets(self, batch: Batch) -> Targets:
        assert batch.target is not None and batch.source_of is not None
        from transformers.modeling_outputs import BaseModelOutput

        encoder = self.model.get_encoder()
        states = encoder(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
        start = self.model.config.decoder_start_token_id
        given = batch.target.clamp(min=0)
        begin = torch.full_like(given[:, :1], start)
        decoder_ids = torch.cat([begin, given[:, :-1]], 1)
        return _at(
            self.model,
            batch.target,
            batch.target.shape[1],
            encoder_outputs=BaseModelOutput(last_hidden_state=states[batch.source_of]),
            attention_mask=batch.mask[batch.source_of],
            decoder_input_ids=decoder_ids,
            use_cache=False,
        )


class MaskedBackbone(LanguageModel):
    """BERT-shaped models as cloze: as many blanks as the row's longest option has tokens, all
    filled at once.

    An option's score is the mean (or sum) of its tokens' log-probabilities, each predicted with
    all of the option masked. Free generation is refused: the number of blanks is the answer.
    """

    can: ClassVar = frozenset({"score"})
    name: ClassVar = "masked"

    def targets(self, batch: Batch) -> Targets:
        assert batch.target is not None
        kwargs = {"input_ids": batch.ids, "attention_mask": batch.mask}
        return _at(self.model, batch.target, batch.ids.shape[1], **kwargs)

    def refusal(self, kind: type, format: str) -> str | None:
        if format == "entail" or kind in CLOSED:
            return None
        return f"{kind.__name__} needs free generation, which a masked language model cannot do"

    def generate(self, rows: Sequence[StoredRow]) -> list[str]:
        raise ConfigError(
            "a masked language model cannot write freely",
            got=type(self.model).__name__,
            expected="a task with listed options, or a causal or seq2seq model",
            fix="leave open tasks out of the suite, or use model=tiny_llama",
        )
