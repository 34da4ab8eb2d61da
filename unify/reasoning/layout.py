"""How worked examples and a question are laid out as one text that a model goes on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from formats.errors import ConfigError

from .demos import Demo


@dataclass(frozen=True)
class Layout:
    """The text around questions and answers (Wei et al. 2022, appendix G).

    ``marker`` announces the answer and is looked for when one is read; an answer is written by
    ``reasoned``, or by ``plain`` where no reasoning is shown."""

    question: str = "Q: {question}\nA:"
    reasoned: str = " {rationale} The answer is {answer}."
    plain: str = " The answer is {answer}."
    between: str = "\n\n"
    instruction: str = ""
    marker: str = "answer is"

    def __post_init__(self) -> None:
        for name, needed in (
            ("question", ("question",)),
            ("reasoned", ("rationale", "answer")),
            ("plain", ("answer",)),
        ):
            template = getattr(self, name)
            for field in needed:
                if "{" + field + "}" not in template:
                    raise ConfigError(
                        f"a layout without {{{field}}}",
                        field=name,
                        got=template,
                        fix="write that field into it",
                    )

    def ask(self, question: str) -> str:
        """One question, up to where its answer begins."""
        return _filled(self.question, question=question)

    def show(self, demo: Demo) -> str:
        """One worked example."""
        given = self.reasoned if demo.rationale else self.plain
        return self.ask(demo.question) + _filled(
            given, rationale=demo.rationale, answer=demo.answer
        )

    def prompt(self, demos: Sequence[Demo], question: str) -> str:
        """The instruction, the worked examples and the question."""
        head = [self.instruction] if self.instruction else []
        return self.between.join([*head, *map(self.show, demos), self.ask(question)])

    @property
    def stop(self) -> tuple[str, ...]:
        """What a model writes when it goes on to a question of its own."""
        opening = self.question.partition("{question}")[0].strip()
        return tuple(dict.fromkeys(s for s in (self.between, f"\n{opening}") if s.strip(" ")))


def _filled(template: str, **values: str) -> str:
    for name, value in values.items():
        before, found, after = template.partition("{" + name + "}")
        if found:
            rest = {k: v for k, v in values.items() if k != name}
            return _filled(before, **rest) + value + _filled(after, **rest)
    return template
