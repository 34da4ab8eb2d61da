"""What every backbone offers to learners and to evaluation, whatever model is inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from formats.collate import Batch
from formats.errors import ConfigError
from formats.instances import Raw
from formats.layout import Coder, Layout
from formats.store import StoredRow

if TYPE_CHECKING:
    from ..tuning.base import Tuning


class Partial(NamedTuple):
    """A raw prediction for instance ``instance`` of row ``row``, from one of its windows."""

    row: int
    instance: int
    raw: Raw


class Backbone(nn.Module):
    """A Hugging Face model plus the head its format needs.

    ``loss`` is a sum over what ``batch.weight`` counts (tokens for generate, sequences for the
    others), so that whoever divides decides the unit of the step.
    """

    format: ClassVar[tuple[str, ...]]
    can: ClassVar[frozenset[str]]
    name: ClassVar[str]

    sharing: bool = False  # whether to compute once what rows share, where that is possible
    rule: str | None = None  # by what a language model ranks options; None: as it is set
    stop: tuple[str, ...] = ()  # what ends a free answer, beside the model's own end
    mixed: bool = False  # whether :meth:`passing` computes in bfloat16 while it is trained
    model: Any  # a transformers model; its classes share no type that names what we call
    tuning: Tuning | None  # what is trained instead of the model's own weights, if anything is
    origin: str | None  # where the model's weights were loaded from; None: drawn here
    revision: str | None
    fresh: tuple[str, ...]  # the model's parameters that stood not there, and were drawn

    def __init__(self, model: Any, coder: Coder) -> None:
        super().__init__()
        self.model = model
        self.coder = coder
        self.tuning, self.origin, self.revision, self.fresh = None, None, None, ()

    @property
    def layout(self) -> Layout:
        return self.coder.layout

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def passing(self) -> torch.autocast:
        """What a pass of the model stands in, where no trainer brings its own."""
        on = self.mixed and self.training
        return torch.autocast(self.device.type, torch.bfloat16, enabled=on)

    def loss(self, batch: Batch) -> Tensor:
        """Scalar, summed over ``batch.weight`` units."""
        raise NotImplementedError

    def predict(self, rows: Sequence[StoredRow]) -> list[Partial]:
        """Raw predictions for every instance of ``rows``."""
        raise NotImplementedError

    def at_once(self, row: StoredRow) -> bool:
        """Whether :meth:`predict` computes once what ``row`` has in common with other rows, so
        that it should be given as many at once as there are."""
        return False

    def unshared(self) -> str | None:
        """Why nothing is shared between rows although it was asked for, or None."""
        return None

    def save_memory(self) -> None:
        """Keeps only each layer's input for the backward pass, and computes the rest again: the
        same gradients with less memory and about a third more time. Raises ConfigError."""
        try:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        except ValueError as error:
            raise ConfigError(
                "a model that cannot compute its activations again",
                got=str(error),
                fix="trainer.checkpoint_activations=false",
            ) from None

    def refusal(self, kind: type, format: str) -> str | None:
        """Why this backbone cannot answer tasks of type ``kind`` in ``format``, or None."""
        return None

    def head_modules(self) -> dict[str, nn.Module]:
        """The parts that ``model.save_pretrained`` does not save."""
        return {}

    def head_options(self) -> dict[str, object]:
        """The plain values that build those parts again."""
        return {}


def common_kwargs(model: Any, batch: Batch) -> dict[str, Tensor]:
    """The model's inputs for ``batch``; token types only where the model knows them."""
    kwargs = {"input_ids": batch.ids, "attention_mask": batch.mask}
    if getattr(model.config, "type_vocab_size", 0) > 1:
        kwargs["token_type_ids"] = batch.types
    return kwargs
