"""Language models: generate natively, entail through the words yes and no."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from formats.collate import Batch, collate, sources
from formats.errors import ConfigError
from formats.examples import MultipleChoice, RelationClassification, TextClassification
from formats.instances import Raw, Scores, Text
from formats.layout import Coder
from formats.store import StoredRow

from .base import Backbone, Partial

if TYPE_CHECKING:
    from ..scoring.engine import Engine

CLOSED = (TextClassification, MultipleChoice, RelationClassification)  # generate scores options


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

    def at_once(self, row: StoredRow) -> bool:
        if not self.sharing or not row.candidates or not row.widths.all():
            return False
        if self.engine is None and self.layout.kind != "masked":
            from ..scoring.engine import Engine

            self.engine = Engine(self.model, self.coder)
        begins = len(row.shared) + len(self.layout.single_before) > 0
        return begins and self.engine is not None and self.engine.path == "shared"

    def unshared(self) -> str | None:
        return self.engine.why if self.sharing and self.engine is not None else None

    def head_options(self) -> dict[str, object]:
        return {"score": self.score}

    @abstractmethod
    def target_logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits ``[n, T, words]`` and the tokens ``[n, T]`` that they predict (-100: none)."""

    def loss(self, batch: Batch) -> Tensor:
        logits, target = self.target_logits(batch)
        return cross_entropy(
            logits.float().flatten(0, 1), target.flatten(), ignore_index=-100, reduction="sum"
        )

    def log_probabilities(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Whole log-probability of each target ``[n]``, and its number of tokens ``[n]``."""
        logits, target = self.target_logits(batch)
        n, length = target.shape
        losses = cross_entropy(
            logits.float().flatten(0, 1), target.flatten(), ignore_index=-100, reduction="none"
        ).view(n, length)
        return -losses.sum(1), (target != -100).sum(1)

    def predict(self, rows: Sequence[StoredRow]) -> list[Partial]:
        closed = [r for r in rows if r.candidates > 0]
        free = [r for r in rows if r.candidates == 0]
        return [*self._score(closed), *self._write(free)]

    def _score(self, rows: list[StoredRow]) -> list[Partial]:
        if not rows:
            return []
        if all(map(self.at_once, rows)):
            return self._score_tree(rows)
        batch = collate(rows, self.layout, "generate", score=True).to(self.device)
        total, count = self.log_probabilities(batch)
        value = total / count if self.score == "mean" else total
        values: list[list[float]] = [[] for _ in rows]
        for r, v in zip(batch.row_of.tolist(), value.tolist(), strict=True):
            values[r].append(v)
        return [
            Partial(row.row, row.instance, Scores(tuple(v)))
            for row, v in zip(rows, values, strict=True)
        ]

    def _score_tree(self, rows: list[StoredRow]) -> list[Partial]:
        from .tree import scored

        assert self.engine is not None
        out = []
        for row, found in zip(rows, scored(self.engine, rows), strict=True):
            by = [s.tokens if self.score == "mean" else 1 for s in found]
            values = tuple(s.logprob / n for s, n in zip(found, by, strict=True))
            out.append(Partial(row.row, row.instance, Scores(values)))
        return out

    def _write(self, rows: list[StoredRow]) -> list[Partial]:
        if not rows:
            return []
        raws: list[Raw] = [Text(t) for t in self.generate(rows)]
        return [Partial(r.row, r.instance, raw) for r, raw in zip(rows, raws, strict=True)]

    def generate(self, rows: Sequence[StoredRow]) -> list[str]:
        """Greedy continuations of the rows' sources, at most ``layout.max_target`` tokens."""
        from transformers import GenerationConfig

        ids, mask = sources(rows, self.layout)
        layout = self.layout
        model: Any = self.model
        # A published model's habits (beams, penalties, forced ends) are not ours: set them aside.
        habits = model.generation_config
        model.generation_config = GenerationConfig(
            max_new_tokens=layout.max_target,
            do_sample=False,
            num_beams=1,
            eos_token_id=layout.eos,
            pad_token_id=layout.pad,
            bos_token_id=layout.bos,
            decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
        )
        try:
            out = model.generate(input_ids=ids.to(self.device), attention_mask=mask.to(self.device))
        finally:
            model.generation_config = habits
        start = ids.shape[1] if layout.kind == "causal" else 1
        texts = []
        for sequence in out[:, start:].tolist():
            if layout.eos in sequence:
                sequence = sequence[: sequence.index(layout.eos)]
            texts.append(self.coder.text(sequence))
        return texts


class CausalBackbone(LanguageModel):
    """GPT- and Llama-shaped models; logits only where a target stands."""

    can: ClassVar = frozenset({"score", "generate"})
    name: ClassVar = "causal"

    @cached_property
    def places(self) -> bool:
        """Whether the model takes positions (those that do not, find them from the mask)."""
        return "position_ids" in inspect.signature(self.model.forward).parameters

    def target_logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        assert batch.target is not None
        at = (batch.target != -100).any(0)[1:].nonzero()[:, 0]  # position t predicts token t + 1
        kwargs: dict[str, Any] = {
            "input_ids": batch.ids,
            "attention_mask": batch.mask,
            "use_cache": False,
        }
        if self.places:  # padding stands on the left: say where each text begins
            kwargs["position_ids"] = (batch.mask.cumsum(1) - 1).clamp(min=0)
        last = batch.target.shape[1] - 1
        if len(at) and len(at) == last - int(at[0]):  # targets end together and stand in one run
            logits = self.model(**kwargs, logits_to_keep=len(at) + 1).logits
            return logits[:, :-1], batch.target[:, -len(at) :]
        return self.model(**kwargs, logits_to_keep=at).logits, batch.target[:, at + 1]


class Seq2SeqBackbone(LanguageModel):
    """T5- and BART-shaped models; the encoder runs once per row whatever its options."""

    can: ClassVar = frozenset({"score", "generate"})
    name: ClassVar = "seq2seq"

    def target_logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        assert batch.target is not None and batch.source_of is not None
        from transformers.modeling_outputs import BaseModelOutput

        encoder = self.model.get_encoder()
        states = encoder(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
        start = self.model.config.decoder_start_token_id
        given = batch.target.clamp(min=0)
        begin = torch.full_like(given[:, :1], start)
        decoder_ids = torch.cat([begin, given[:, :-1]], 1)
        logits = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states[batch.source_of]),
            attention_mask=batch.mask[batch.source_of],
            decoder_input_ids=decoder_ids,
            use_cache=False,
        ).logits
        return logits, batch.target


class MaskedBackbone(LanguageModel):
    """BERT-shaped models as cloze: one blank per target token, all filled at once.

    An option's score is the mean (or sum) of its tokens' log-probabilities, each predicted with
    all of the option masked. Free generation is refused: the number of blanks is the answer.
    """

    can: ClassVar = frozenset({"score"})
    name: ClassVar = "masked"

    def target_logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        assert batch.target is not None
        kwargs = {"input_ids": batch.ids, "attention_mask": batch.mask}
        return self.model(**kwargs).logits, batch.target

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
