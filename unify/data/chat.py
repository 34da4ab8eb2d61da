"""Rows as a chat: demonstrations and query in the words of a tokenizer's own chat template.

| mode     | demonstrations                                        |
|----------|-------------------------------------------------------|
| turns    | one turn of the user and one of the assistant for each |
| one_turn | all in the user's one turn, before the query          |

The answer is what the assistant writes. The template's signs become special tokens, texts never
do; what stands between two signs is tokenized in one piece, as if the whole chat were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from formats.episodes import BETWEEN, Turn
from formats.errors import ConfigError, RowError
from formats.layout import Coder
from formats.store import Rows, StoredRow

from .shots import Told

MODES = ("off", "turns", "one_turn")
_MARK = "\ue000{}\ue001"  # stands for a message's text while the template is read
_NONE = np.zeros(0, np.int32)


class Frame(NamedTuple):
    """What a template writes: ``pieces[i]`` stands before text ``i``, ``lead`` before the answer,
    ``tail`` behind it."""

    pieces: tuple[str, ...]
    lead: str
    tail: str


class Chat:
    """A tokenizer's chat template as frames around texts. Raises ConfigError where it cannot be
    read."""

    def __init__(self, coder: Coder) -> None:
        self.tokenizer = coder.tokenizer
        if getattr(self.tokenizer, "chat_template", None) is None:
            raise ConfigError(
                "a chat with a model whose tokenizer has no chat template",
                fix="evaluation.chat=off",
            )
        if coder.layout.kind != "causal":
            raise ConfigError(
                f"a chat with a {coder.layout.kind} model",
                expected="a causal model",
                fix="evaluation.chat=off",
            )
        added = {str(t): i for i, t in self.tokenizer.added_tokens_decoder.items()}
        self._signs = {t: added[t] for t in sorted(added, key=len, reverse=True) if t}
        either = "|".join(map(re.escape, self._signs))
        self._split = re.compile(f"({either})") if either else None
        self._frames: dict[int, Frame] = {}
        self._ids: dict[str, list[int]] = {}
        # The template writes every sign itself, the first and the last included.
        layout = replace(coder.layout, single_before=(), single_after=())
        end = next((self._signs[p] for p in self._parts(self.frame(0).tail)
                    if p in self._signs), layout.eos)  # fmt: skip
        self.coder = Coder(self.tokenizer, replace(layout, eos=end))
        self._check()

    def frame(self, shots: int) -> Frame:
        """The frame of ``shots`` answered turns, a query and its answer."""
        if shots not in self._frames:
            self._frames[shots] = self._read(shots)
        return self._frames[shots]

    def _render(self, texts: Sequence[str], **more: Any) -> str:
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": t} for i, t in enumerate(texts)]
        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, **more))
        except Exception as error:  # templates raise what they like
            raise ConfigError(
                "a chat template that refuses turns of user and assistant",
                got=f"{type(error).__name__}: {error}"[:200],
                fix="evaluation.chat=one_turn or off",
            ) from None

    def _read(self, shots: int) -> Frame:
        marks = [_MARK.format(i) for i in range(2 * shots + 2)]
        parts = re.split("|".join(marks), self._render(marks))
        opened = re.split("|".join(marks), self._render(marks[:-1], add_generation_prompt=True))
        if len(parts) != len(marks) + 1 or len(opened) != len(marks):
            raise ConfigError(
                "a chat template that does not write every message once",
                got=f"{len(parts) - 1} of {len(marks)}",
                fix="evaluation.chat=off",
            )
        # A blank that the template writes before an answer belongs to its lead, too.
        lead = parts[-2] if parts[-2].startswith(opened[-1]) else opened[-1]
        return Frame(tuple(opened[:-1]), lead, parts[-1])

    @cached_property
    def _strips(self) -> bool:
        text = f"\t{_MARK.format(0)}\t"
        return text not in self._render([text])

    def _parts(self, piece: str) -> list[str]:
        return [p for p in (self._split.split(piece) if self._split else [piece]) if p]

    def _plain(self, text: str) -> list[int]:
        if text not in self._ids:
            (self._ids[text],) = self.coder.ids([text])
        return self._ids[text]

    def context(self, texts: Sequence[str]) -> tuple[list[int], str]:
        """The ids of a chat up to its answer, and the plain text at its end, which is not among
        them: it is tokenized with the answer."""
        frame = self.frame(len(texts) // 2)
        ids: list[int] = []
        open_ = ""
        for piece, text in zip((*frame.pieces, frame.lead), (*texts, ""), strict=True):
            for part in self._parts(piece):
                if part in self._signs:
                    ids += self._plain(open_) if open_ else []
                    ids.append(self._signs[part])
                    open_ = ""
                else:
                    open_ += part
            open_ += text.strip() if self._strips else text
        return ids, open_

    def answered(
        self, texts: Sequence[str], answers: Sequence[str]
    ) -> tuple[list[int], list[list[int]]]:
        """The ids of a chat and of each answer that may follow, its end sign included."""
        ids, open_ = self.context(texts)
        bare = open_.rstrip() if answers else open_
        before, blank = self._plain(bare) if bare else [], open_[len(bare) :]
        end = [] if self.coder.layout.eos is None else [self.coder.layout.eos]
        found = []
        for answer in answers:
            whole = self._plain(bare + blank + answer)
            joined = whole[: len(before)] == before and len(whole) > len(before)
            own = whole[len(before) :] if joined else self._plain(blank + answer)
            found.append([*own, *end])
        return [*ids, *before], found

    def _check(self) -> None:
        """Raises ConfigError where our tokens of a chat are not the tokenizer's own."""
        texts = ["Is it so?", "It is.", "And this?"]
        ids, ((*answer, _),) = self.answered(texts, ["Yes."])
        frame = self.frame(1)
        words = "".join(a + b for a, b in zip(frame.pieces, texts, strict=True))
        whole = words + frame.lead + "Yes."
        own = self.tokenizer(whole, add_special_tokens=False)["input_ids"]
        if [*ids, *answer] != list(own):
            raise ConfigError(
                "a chat template whose tokens cannot be put together",
                got=[*ids, *answer][:24],
                expected=str(list(own)[:24]),
                fix="evaluation.chat=off",
            )


class ChatRows:
    """``store``'s rows as chats behind demonstrations, as :class:`~unify.data.shots.EpisodeRows`;
    whole demonstrations that do not fit are dropped, the earliest first, and counted."""

    def __init__(
        self,
        chat: Chat,
        store: Rows,
        demonstrations: Sequence[Turn] | Callable[[int], Sequence[Turn]],
        head: Sequence[int],
        *,
        mode: str,
        budget: int | None = None,
    ) -> None:
        self.chat, self.store, self.demonstrations = chat, store, demonstrations
        self.mode, self.head = mode, self._text(head)
        window = chat.coder.layout.window
        self.most = window if budget is None else min(budget, window)
        self.facts: dict[str, Any] = dict(store.facts)
        self.told = Told(self.facts)

    def __len__(self) -> int:
        return len(self.store)

    def column(self, name: str) -> np.ndarray:
        return self.store.column(name)

    def _text(self, ids: Sequence[int]) -> str:
        decode = self.chat.tokenizer.decode
        return str(decode(list(ids), clean_up_tokenization_spaces=False))

    def _texts(self, shown: Sequence[Turn], source: str) -> list[str]:
        coder = self.chat.coder
        pairs = [(self._text(t.input), coder.text(t.output)) for t in shown]
        if self.mode == "turns":
            texts = [*(t for pair in pairs for t in pair), source]
        else:
            lines = [a + coder.continuation(b) for a, b in pairs]
            texts = [BETWEEN.join((*lines, source))]
        if self.head:
            texts[0] = self.head + BETWEEN + texts[0]
        return texts

    def __getitem__(self, index: int) -> StoredRow:
        row, chat = self.store[index], self.chat
        given = self.demonstrations
        shown = list(given(index) if callable(given) else given)
        variants = [v.tolist() for v in row.variant_ids()] if row.candidates else []
        end = chat.coder.layout.eos
        options = [chat.coder.text(v[:-1] if v[-1] == end else v) for v in variants]
        asked = row.shared.tolist()
        room = 0 if options else chat.coder.layout.max_target
        first = cut = 0
        while True:
            texts = self._texts(shown[first:], self._text(asked[cut:]))
            ids, answers = chat.answered(texts, options)
            length = len(ids) + max(map(len, answers), default=room)
            if length <= self.most:
                break
            if first < len(shown):
                first += 1
            elif (cut := cut + length - self.most) >= len(asked):
                raise RowError(
                    "a query that does not fit", row=row.row, field="query", got=f"{length} tokens",
                    expected=f"at most {self.most}", fix="raise model.window, or drop the row",
                )  # fmt: skip
        self.told.add(index, first, cut, row.cut)
        widths = np.array([len(a) for a in answers], np.int32)
        return row._replace(
            length=length, size=len(ids) + int(widths.sum()), cut=0,
            shared=np.array(ids, np.int32), offsets=_NONE,
            variants=np.array([i for a in answers for i in a], np.int32), widths=widths,
            gold=row.gold if options else np.zeros(0, np.float32),
        )  # fmt: skip
