"""Episodes: an instruction, demonstrations and a query, in words and in tokens.

In words an episode is a row of generate instances (:func:`render`). In tokens it is one context
that all answers share, and per answer a pair (lead, scored): the model reads ``context + lead`` and
is asked for ``scored`` (:func:`lay`).

| direction | demonstration     | lead of the query    | scored      |
|-----------|-------------------|----------------------|-------------|
| direct    | input, output     | input                | each option |
| channel   | output, input     | each option          | input       |

Separators are the same for every task type: a blank line between demonstrations, and what a
zero-shot row has between input and output, so that an episode without demonstrations *is* the
zero-shot row. What does not fit loses whole demonstrations, the earliest first; the query is
cut only where that is allowed, from its beginning, and the cut counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from .errors import ConfigError, RowError
from .examples import Example
from .generate import Generate
from .instances import GenerateInstance
from .layout import Coder, Layout
from .prompts import Prompt
from .prompts._prompts import Variant
from .templates import Template

Direction = Literal["direct", "channel"]
DIRECTIONS = ("direct", "channel")
BETWEEN = "\n\n"  # between demonstrations, and after an instruction that stands on top
WITHIN = "\n"  # between output and input (channel)

_GENERATE = Generate()


@dataclass(frozen=True)
class Episode:
    """``demonstrations`` are labelled examples of the query's type, in the order in which they are
    read; ``seed`` is what they were drawn with. Without an ``instruction`` the prompt's own
    stands. Raises RowError."""

    query: Example
    demonstrations: tuple[Example, ...] = ()
    instruction: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for k, example in enumerate(self.demonstrations):
            problem = None
            if type(example) is not type(self.query):
                problem = f"a demonstration of type {type(example).__name__}"
            elif example.gold is None:
                problem = "a demonstration without an answer"
            elif example is self.query or example.id == self.query.id:
                problem = "a query that is among its demonstrations"
            if problem:
                raise RowError(
                    problem,
                    row=self.query.id,
                    field=f"demonstrations[{k}]",
                    got=example.id,
                    expected=f"other labelled examples of type {type(self.query).__name__}",
                )
        if self.instruction is not None and not self.instruction.strip():
            raise RowError(
                "a blank instruction",
                expected="an instruction with a visible character, or None",
                row=self.query.id,
                field="instruction",
            )


# Inputs and nothing else: in an episode the demonstrations say what is asked. A choice is its
# row's own, so that it stays.
_PLAIN = {
    "classify": "{{ text }}{% if text_b %}\n{{ text_b }}{% endif %}",
    "choose": "{% if context %}{{ context }}\n{% endif %}{{ question }}"
    "{% for o in options %}\n({{ letters[loop.index0] }}) {{ o }}{% endfor %}",
    "answer": "{{ passage }}\n{{ question }}",
    "tag": "{{ text }}",
    "relate": "{{ text }}\n{{ head }}\n{{ tail }}",
    "generate": "{{ source }}",
}
_PLAIN |= {"multilabel": _PLAIN["classify"], "rate": _PLAIN["classify"]}


def plain(prompt: Prompt, kind: str) -> Prompt:
    """``prompt`` with one way to generate: the example's own texts, without instruction, label
    list or cue, the same for every task of type ``kind``."""
    way = Variant({"source": Template(_PLAIN[kind])})
    return replace(prompt, variants={**prompt.variants, "generate": (way,)})


class EpisodeText(NamedTuple):
    """An episode in words. ``head`` is empty where the templates place the instruction."""

    head: str
    demonstrations: tuple[GenerateInstance, ...]
    query: GenerateInstance


def render(
    episode: Episode, prompt: Prompt, *, template: int = 0, format: Generate = _GENERATE
) -> EpisodeText:
    """The episode in the words of ``prompt``'s template number ``template``.

    The episode's instruction takes the place of the prompt's; where the template does not read
    it, it stands once, on top. Raises TemplateError, UnsupportedCell.
    """
    head = ""
    if episode.instruction is not None:
        prompt = replace(prompt, instruction=episode.instruction)
        if not prompt.variant("generate", template).reads("instruction"):
            head = episode.instruction

    def turn(example: Example) -> GenerateInstance:
        (instance,) = format.encode(example, prompt, template=template)
        assert isinstance(instance, GenerateInstance)
        return instance

    return EpisodeText(head, tuple(map(turn, episode.demonstrations)), turn(episode.query))


class Turn(NamedTuple):
    """One demonstration's input and output in tokens."""

    input: Sequence[int]
    output: Sequence[int]


@dataclass(frozen=True)
class EpisodeTokens:
    """An episode in tokens, nothing dropped and nothing joined. ``options`` are the answers that
    may be scored, or the target alone; ``more`` are further queries behind the same
    demonstrations, each with its target."""

    head: Sequence[int]
    demonstrations: Sequence[Turn]
    input: Sequence[int]
    options: Sequence[Sequence[int]]
    more: Sequence[Turn] = ()


def tokenize(
    text: EpisodeText,
    coder: Coder,
    *,
    direction: Direction = "direct",
    target_only: bool = False,
) -> EpisodeTokens:
    """``text`` in tokens; every text is tokenized by itself, so that its tokens do not depend on
    its neighbours. ``target_only`` leaves out the options that are not the query's target."""
    query = text.query
    answers: tuple[str, ...] = () if query.target is None else (query.target,)
    if query.options and not target_only:
        answers = query.options
    inputs = [d.source for d in text.demonstrations]
    outputs = [coder.continuation(d.target or "") for d in text.demonstrations]
    options = [coder.target(a) if direction == "direct" else coder.continuation(a) for a in answers]
    head, asked, *ids = coder.ids([text.head, query.source, *inputs, *outputs, *options])
    k = len(inputs)
    turns = tuple(map(Turn, ids[:k], ids[k : 2 * k]))
    return EpisodeTokens(head, turns, asked, tuple(ids[2 * k :]))


@dataclass(frozen=True)
class Separators:
    """Tokens between the parts of an episode, see :func:`separators`."""

    between: tuple[int, ...]
    within: tuple[int, ...]


def separators(coder: Coder) -> Separators:
    """The separators in the words of ``coder``'s tokenizer."""
    between, within = coder.ids([BETWEEN, WITHIN])
    return Separators(tuple(between), tuple(within))


@dataclass(frozen=True)
class Laid:
    """An episode within its budget.

    ``context`` is what all answers share, with what stands before a text; ``dense`` are the
    half-open token ranges in it that hold what a demonstration's model would be asked for.
    ``pairs`` are (lead, scored) per option, then per further query. ``dropped`` demonstrations of
    ``dropped_tokens`` tokens did not fit; ``kept`` did. ``cut`` tokens were taken from the query.
    """

    context: list[int]
    pairs: list[tuple[list[int], list[int]]]
    dense: list[tuple[int, int]] = field(default_factory=list)
    kept: int = 0
    dropped: int = 0
    dropped_tokens: int = 0
    cut: int = 0

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return len(self.context) + max((len(a) + len(b) for a, b in self.pairs), default=0)


def lay(
    tokens: EpisodeTokens,
    layout: Layout,
    between: Separators,
    *,
    direction: Direction = "direct",
    budget: int | None = None,
    room: int = 0,
    row: object = None,
    cut: bool = False,
) -> Laid:
    """``tokens`` joined within ``budget`` tokens (the model's window where None).

    ``room`` is what an answer that is written freely may need. A seq2seq model's answers have the
    decoder to themselves and do not count. Answers end with the end sign where there is one.
    ``cut``: a query that does not fit alone loses its beginning; a channel episode, which scores
    it, never does. Otherwise raises RowError (row=``row``).
    """
    if direction not in DIRECTIONS:
        raise ConfigError("unknown direction", got=direction, expected=" or ".join(DIRECTIONS))
    if layout.kind in ("encoder", "masked"):
        raise ConfigError(
            f"episodes on a model of kind {layout.kind}", expected="a causal or seq2seq model"
        )
    channel = direction == "channel"
    apart = layout.kind == "seq2seq"
    end = [] if layout.eos is None else [layout.eos]
    before = list(layout.single_before)
    after = list(layout.single_after) if apart else []
    asked = [(tokens.input, o) for o in tokens.options] + list(tokens.more)
    pairs = [
        ([*o, *between.within, *after], [*i, *end]) if channel else ([*i, *after], [*o, *end])
        for i, o in asked
    ] or [([] if channel else [*tokens.input, *after], [])]
    most = layout.window if budget is None else min(budget, layout.window)
    lead = max(len(a) for a, _ in pairs)
    answer = 0 if apart else max(max(len(a) + len(b) for a, b in pairs) - lead, room)
    head = [*tokens.head, *between.between] if tokens.head else []
    left = most - len(before) - len(head) - lead - answer
    if left < 0 and cut and not channel and not tokens.more and len(tokens.input) > -left:
        shorter = replace(tokens, input=tokens.input[-left:], demonstrations=())
        laid = lay(shorter, layout, between, budget=budget, room=room, row=row)
        lost = sum(len(_turn(t, between, channel)[0]) for t in tokens.demonstrations)
        shown = len(tokens.demonstrations)
        return replace(laid, dropped=shown, dropped_tokens=lost, cut=-left)
    if left < 0:
        raise RowError(
            "a query that does not fit",
            row=row,
            field="query",
            got=f"{most - left} tokens",
            expected=f"at most {most}",
            fix="raise the budget or the window, or drop the row",
        )
    turns = [_turn(t, between, channel) for t in tokens.demonstrations]
    kept: list[tuple[list[int], int]] = []
    for turn in reversed(turns):  # the nearest to the query first
        if len(turn[0]) > left:
            break
        left -= len(turn[0])
        kept.append(turn)
    gone = turns[: len(turns) - len(kept)]
    context = [*before, *head]
    dense = []
    for ids, begin in reversed(kept):
        stop = len(context) + len(ids) - len(between.between)
        dense.append((len(context) + begin, stop))
        context += ids
    return Laid(context, pairs, dense, len(kept), len(gone), sum(len(ids) for ids, _ in gone))


def _turn(turn: Turn, between: Separators, channel: bool) -> tuple[list[int], int]:
    """A demonstration's tokens with what follows it, and where what would be asked for begins."""
    if channel:
        lead = [*turn.output, *between.within]
        return [*lead, *turn.input, *between.between], len(lead)
    return [*turn.input, *turn.output, *between.between], len(turn.input)
