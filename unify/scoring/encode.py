"""Texts to token ids as if every request were tokenized by itself, without doing so.

Contexts share long beginnings (instruction, demonstrations) and a row's options share its
context. What is known already is cut at a blank some tokens before its end, and only the rest is
tokenized again. The cut is sound where tokens do not depend on what is far away; each cut checks
itself (the next tokens must come out as before) and is given up otherwise, and the first texts of
every call are compared with whole tokenization.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from formats.layout import Coder

from ._tree import common
from .requests import Ids, Request

_BEHIND = 8  # tokens between a cut and the end of what is known
_CHECKED = 4  # tokens after a cut that must come out as before
_SAMPLE = 4  # texts of a call that are tokenized whole, too


@dataclass
class Known:
    """A text, its ids, and where each token begins and ends (characters)."""

    text: str
    ids: list[int]
    places: list[tuple[int, int]]

    def cut(self) -> int | None:
        """A token that begins at a blank, some tokens before the end."""
        text, places = self.text, self.places
        for k in range(len(places) - _BEHIND, max(0, len(places) - 80), -1):
            start, before = places[k][0], places[k - 1][1]
            if start > before:  # this tokenizer leaves the blank out of the token
                start = before if start == before + 1 else -1
            elif start < before:
                continue
            if start > 0 and text[start : start + 1] == " " and not text[start - 1].isspace():
                return k
        return None

    def begin(self, k: int) -> int:
        """The character at which the tail of cut ``k`` begins."""
        return min(self.places[k][0], self.places[k - 1][1])


@dataclass
class Encoder:
    """Requests to ids, framed as the tokenizer frames a text.

    ``whole`` counts texts that had to be tokenized from their beginning.
    """

    coder: Coder
    fast: bool = True
    whole: int = 0

    def known(self, texts: Sequence[str], heads: Sequence[Known | None]) -> list[Known]:
        """Ids and places of ``texts``, each of which begins with its head (if any)."""
        cuts = self._cuts(texts, heads)
        ids, places = self.coder.ids_and_offsets(
            [t if c is None else t[c[1] :] for t, c in zip(texts, cuts, strict=True)]
        )
        out = []
        for k, (text, head, cut) in enumerate(zip(texts, heads, cuts, strict=True)):
            if head is None or cut is None:
                out.append(Known(text, ids[k], places[k]))
                continue
            at, begin = cut
            moved = [(s + begin, e + begin) for s, e in places[k]]
            out.append(Known(text, head.ids[:at] + ids[k], head.places[:at] + moved))
        self._repair(texts, heads, cuts, [k.ids for k in out], out)
        return out

    def ids(self, texts: Sequence[str], heads: Sequence[Known | None]) -> list[list[int]]:
        """Ids alone, for texts that nothing will continue."""
        cuts = self._cuts(texts, heads)
        tails = self.coder.ids(
            [t if c is None else t[c[1] :] for t, c in zip(texts, cuts, strict=True)]
        )
        out = [
            tail if head is None or cut is None else head.ids[: cut[0]] + tail
            for tail, head, cut in zip(tails, heads, cuts, strict=True)
        ]
        self._repair(texts, heads, cuts, out, None)
        return out

    def _cuts(
        self, texts: Sequence[str], heads: Sequence[Known | None]
    ) -> list[tuple[int, int] | None]:
        """Per text the cut's token and character, or None."""
        made: dict[int, tuple[int, int] | None] = {}
        out: list[tuple[int, int] | None] = []
        for head in heads:
            if head is None or not self.fast:
                out.append(None)
                continue
            if id(head) not in made:
                k = head.cut()
                made[id(head)] = None if k is None else (k, head.begin(k))
            out.append(made[id(head)])
        self.whole += sum(c is None for c in out)
        return out

    def _repair(
        self,
        texts: Sequence[str],
        heads: Sequence[Known | None],
        cuts: Sequence[tuple[int, int] | None],
        found: list[list[int]],
        known: list[Known] | None,
    ) -> None:
        """Tokenizes whole what did not come out as before after its cut."""
        cut = [k for k, c in enumerate(cuts) if c is not None]
        torn = []
        for k in cut:
            head, place = heads[k], cuts[k]
            assert head is not None and place is not None
            span = slice(place[0], place[0] + _CHECKED)
            if found[k][span] != head.ids[span]:
                torn.append(k)
        good = [k for k in cut if k not in set(torn)]
        sample = good[:: max(1, len(good) // _SAMPLE)][:_SAMPLE]
        for k, ids in zip(sample, self.coder.ids([texts[k] for k in sample]), strict=True):
            if ids != found[k]:  # cuts cannot be trusted with this tokenizer
                self.fast, torn = False, cut
                break
        if not torn:
            return
        self.whole += len(torn)
        again, places = self.coder.ids_and_offsets([texts[k] for k in torn])
        for k, right, where in zip(torn, again, places, strict=True):
            found[k] = right
            if known is not None:
                known[k] = Known(texts[k], right, where)

    def continuations(self, requests: Sequence[Request]) -> list[tuple[Ids, Ids]]:
        """Per request the ids of its context and of its continuation, without a frame.

        Blanks at the end of a context belong to the continuation's first token, and the
        continuation is what the whole text has beyond the context's ids (as
        lm-evaluation-harness splits them)."""
        split = []
        for request in requests:
            context, continuation = request.context, request.continuation
            if isinstance(context, str) and isinstance(continuation, str):
                bare = context.rstrip()
                if len(bare) < len(context):
                    context, continuation = bare, context[len(bare) :] + continuation
            split.append((context, continuation))
        contexts = sorted({c for c, _ in split if isinstance(c, str) and c})
        known = self._contexts(contexts)
        texts: dict[str, Known | None] = {}
        for context, continuation in split:
            if isinstance(context, str) and isinstance(continuation, str):
                texts.setdefault(context + continuation, known.get(context))
        whole = dict(zip(texts, self.ids(list(texts), list(texts.values())), strict=True))
        frozen = {c: tuple(k.ids) for c, k in known.items()}
        out: list[tuple[Ids, Ids]] = []
        for context, continuation in split:
            if not isinstance(context, str) or not isinstance(continuation, str):
                assert not isinstance(context, str) and not isinstance(continuation, str)
                out.append((tuple(context), tuple(continuation)))
                continue
            given = frozen.get(context, ())
            rest = tuple(whole[context + continuation][len(given) :])
            out.append((given, rest or tuple(self.coder.ids([continuation])[0])))
        return out

    def _contexts(self, contexts: Sequence[str]) -> dict[str, Known]:
        """Sorted contexts; what they all begin with is tokenized once."""
        if not contexts:
            return {}
        head: Known | None = None
        first, last = contexts[0], contexts[-1]  # sorted: these two decide
        same = common(first.encode("utf-32-le"), last.encode("utf-32-le")) // 4
        shared = first[:same]
        if len(contexts) > 1 and len(shared) > 200:
            (head,) = self.known([shared], [None])
        found = self.known(contexts, [head] * len(contexts))
        return dict(zip(contexts, found, strict=True))
