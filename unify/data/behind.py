"""A task's rows behind demonstrations: chosen, altered, put in order, and laid out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from formats.episodes import Turn
from formats.store import Rows

from .altered import altered
from .chat import Chat, ChatRows
from .choices import PerRow, picked
from .compat import FREE, CompatRows, Texts, demonstrated
from .shots import EpisodeRows, chosen
from .turns import Turns

if TYPE_CHECKING:
    from ..few_shot import FewShot

Ordered = Callable[[Sequence[Turn]], Sequence[Turn]]


@dataclass
class Behind:
    """``stores`` are the rows to be answered and, beside them, those whose inputs say nothing.

    ``compat`` are the texts of training and evaluated rows where the published layout is asked
    for; ``others`` another task's turns."""

    few: FewShot
    turns: Turns
    stores: Sequence[Rows]
    chat: Chat | None = None
    compat: tuple[Texts, Texts] | None = None
    others: Sequence[Turn] = ()
    backbone: Any = field(default=None, repr=False)

    def shown(self, shots: int, seed: int, label: str) -> Sequence[Turn] | PerRow:
        """The demonstrations of every row, or a function of the row."""
        few, turns = self.few, self.turns
        found = picked(
            few.choose, turns, self.stores[0], shots, seed, encoder=few.encoder,
            backbone=self.backbone, search=few.search,
        )  # fmt: skip
        key = f"{seed}/{turns.name}"
        if callable(found):
            per_row = found
            return lambda row: altered(turns, per_row(row), label, f"{key}/{row}", self.others)
        return altered(turns, found, label, key, self.others)

    def rows(
        self, shots: int, seed: int, label: str, order: Ordered | None = None
    ) -> list[Rows]:
        """The stores behind ``shots`` demonstrations, put in ``order`` where one is given."""
        few, turns, coder = self.few, self.turns, self.turns.coder
        if self.compat is not None:
            return self._published(shots, seed, label)
        shown = self.shown(shots, seed, label)
        if order is not None and not callable(shown):
            shown = order(shown)
        if self.chat is not None:
            more: Any = {"mode": few.chat, "budget": few.budget}
            return [ChatRows(self.chat, s, shown, turns.head, **more) for s in self.stores]
        more = {"direction": few.direction, "budget": few.budget}
        return [EpisodeRows(s, shown, turns.head, coder, **more) for s in self.stores]

    def _published(self, shots: int, seed: int, label: str) -> list[Rows]:
        """The rows and, where scores are corrected, the same with the published empty input."""
        assert self.compat is not None
        train, held = self.compat
        coder, episodes = self.turns.coder, self.few.episodes
        ids: list[int] = []
        if shots:
            numbers = self.turns.store.column("row")
            rows = [int(numbers[r]) for r in chosen(self.turns.name, len(numbers), shots, seed)]
            shuffle = f"{seed}/{self.turns.name}" if label == "shuffled" else None
            ids = demonstrated(train, rows, coder, episodes, shuffle)
        inputs = [None, FREE][: len(self.stores)]
        return [CompatRows(self.stores[0], held, ids, coder, episodes, i) for i in inputs]
