"""Data loops over the same parts: a model makes its own training data, and is trained on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from formats.errors import ConfigError
from formats.examples import matches

from ..reasoning import LM, Chain, Demo, Question
from ..reasoning.demos import gold_answer
from ..scoring import Writing

Train = Callable[[Sequence[Demo]], LM]
"""Fine-tunes the model's beginning (never the last round's) on worked examples; the new model."""


@dataclass(frozen=True)
class Round:
    """One round of STaR: questions answered rightly, those solved with the answer as a hint, and
    the worked examples that were trained on."""

    number: int
    right: int
    hinted: int
    asked: int
    kept: tuple[Demo, ...] = field(repr=False)


def hinted(question: Question, answer: str) -> Question:
    """The question with its answer told (STaR's rationalization)."""
    return replace(question, text=f"{question.text} (The answer is {answer}.)")


def rationale_of(text: str, marker: str) -> str:
    """What stands before the sentence that gives the answer."""
    at = text.casefold().rfind(marker.casefold())
    return (text if at < 0 else text[: text.rfind(".", 0, at) + 1]).strip()


def star(
    lm: LM, questions: Sequence[Question], chain: Chain, train: Train, rounds: int,
    hints: bool = True, done: Sequence[Round] = (),
    keep: Callable[[Round], None] = lambda _: None,
) -> tuple[LM, list[Round]]:
    """STaR (Zelikman et al. 2022): rationales whose answer is right are kept, the model is
    fine-tuned on them, and again. With ``hints``, questions that it got wrong are asked once more
    with their answer; the hint is left out of what is kept. ``keep`` is given each round as it
    ends; rounds that an earlier call ``done`` are trained on, not asked again. Raises ConfigError
    where a round kept nothing."""  # fmt: skip
    told = list(done)
    for earlier in told:
        lm = train(earlier.kept)
    for number in range(len(told), rounds):
        kept: dict[int, Demo] = {}
        wrong = list(range(len(questions)))
        counts = []
        for hint in (False, True) if hints else (False,):
            asked = [
                hinted(questions[k], _gold(questions[k])) if hint else questions[k] for k in wrong
            ]
            found = chain(lm, asked, wrong) if asked else []
            for k, outcome in zip(list(wrong), found, strict=True):
                question = questions[k]
                rationale = rationale_of(outcome.texts[0], chain.layout.marker)
                if rationale and right(question, outcome.answer):
                    kept[k] = Demo(question.text, _gold(question), rationale)
                    wrong.remove(k)
            counts.append(len(kept))
        if not kept:
            raise ConfigError("no rationale led to a right answer", fix="another model, or hints")
        demos = tuple(kept[k] for k in sorted(kept))
        hinted_count = counts[-1] - counts[0]
        told.append(Round(number, counts[0], hinted_count, len(questions), demos))
        keep(told[-1])
        lm = train(demos)
    return lm, told


def _gold(question: Question) -> str:
    gold = gold_answer(question.example)
    if gold is None:
        return question.written(getattr(question.example, "gold", None))
    return str(question.read(gold, "####")) if question.kind == "number" else gold


def right(question: Question, answer: object) -> bool:
    """Whether ``answer`` is the row's own."""
    if question.kind == "number":
        return answer is not None and str(answer) == _gold(question)
    return matches(question.example, answer)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Principle:
    """What to look for in a reply, and how to mend it."""

    critique: str
    revision: str


@dataclass(frozen=True)
class Revised:
    """A prompt, the first reply, and each critique with the reply revised by it."""

    prompt: str
    first: str
    turns: tuple[tuple[str, str], ...]

    @property
    def final(self) -> str:
        return self.turns[-1][1] if self.turns else self.first


def critique_and_revise(
    lm: LM, prompts: Sequence[str], principles: Sequence[Principle], how: Writing
) -> list[Revised]:
    """Constitutional AI's supervised stage (Bai et al. 2022, section 3): a reply, then for each
    principle a critique of it and a revision. ``prompts`` end where a reply begins."""
    line = replace(how, stop=(*how.stop, "\n"))
    replies = [w[0].text.strip() for w in lm.write(prompts, line)]
    begun = [f"{p} {r}" for p, r in zip(prompts, replies, strict=True)]
    turns: list[list[tuple[str, str]]] = [[] for _ in prompts]
    for principle in principles:
        asked = [f"{b}\n\n{principle.critique}\nCritique:" for b in begun]
        critiques = [w[0].text.strip() for w in lm.write(asked, line)]
        asked = [
            f"{a} {c}\n\n{principle.revision}\nRevision:"
            for a, c in zip(asked, critiques, strict=True)
        ]
        revised = [w[0].text.strip() for w in lm.write(asked, line)]
        for k, (critique, reply) in enumerate(zip(critiques, revised, strict=True)):
            turns[k].append((critique, reply))
            begun[k] = f"{prompts[k]} {reply}"  # the next principle reads the revision alone
    return [
        Revised(p, r, tuple(t)) for p, r, t in zip(prompts, replies, turns, strict=True)
    ]
