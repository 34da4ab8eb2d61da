"""What people were told about a task: its definition, what to mind, examples good and bad.

The layout is that of Natural Instructions, both versions (Mishra et al. 2022; Wang et al. 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formats.errors import DataError
from formats.spaces import need_text


@dataclass(frozen=True)
class Shown:
    """An example of a guide: an input, what was answered, and why that is right or wrong."""

    input: str
    output: str
    why: str = ""

    def __post_init__(self) -> None:
        need_text(self.input, "input")
        need_text(self.output, "output")


@dataclass(frozen=True)
class Guide:
    """The parts that a task was explained with; a part that is not given is empty.

    Attributes:
        definition: what is to be done, in full.
        avoid: what an answer should not do.
        caution: what deserves care.
        prompt: the short form that stands right before the input.
        dropped: listed examples that lack an input or an output.
    """

    definition: str
    title: str = ""
    avoid: str = ""
    caution: str = ""
    prompt: str = ""
    positive: tuple[Shown, ...] = ()
    negative: tuple[Shown, ...] = ()
    dropped: int = 0

    def __post_init__(self) -> None:
        need_text(self.definition, "definition")


def _words(document: Mapping[str, Any], *keys: str) -> str:
    """The first of ``keys`` that says something; "-" says nothing."""
    for key in keys:
        value = document.get(key)
        text = "\n".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(text, str) and text.strip() not in ("", "-"):
            return text.strip()
    return ""


def _shown(listed: Any) -> tuple[tuple[Shown, ...], int]:
    found, dropped = [], 0
    for item in listed if isinstance(listed, list) else []:
        values = item if isinstance(item, Mapping) else {}
        output = values.get("output")
        output = output[0] if isinstance(output, list) and output else output
        texts = (values.get("input"), output)
        if all(isinstance(t, str) and t.strip() for t in texts):
            why = _words(values, "explanation", "reason")
            found.append(Shown(str(texts[0]), str(texts[1]), why))
        elif values:  # version 1 writes [{}] or "-" where there is none
            dropped += 1
    return tuple(found), dropped


def guide_of(document: Mapping[str, Any], file: str = "") -> Guide:
    """The guide of a parsed task file; raises DataError without a definition."""
    definition = _words(document, "Definition")
    if not definition:
        raise DataError("no Definition", file=file, expected="what the task asks for, as a text")
    inner = document.get("Examples")
    examples = inner if isinstance(inner, Mapping) else document
    positive, lost = _shown(examples.get("Positive Examples"))
    negative, also = _shown(examples.get("Negative Examples"))
    return Guide(
        definition,
        title=_words(document, "Title"),
        avoid=_words(document, "Things to Avoid", "Things to avoid"),
        caution=_words(document, "Emphasis & Caution", "Caution"),
        prompt=_words(document, "Prompt"),
        positive=positive,
        negative=negative,
        dropped=lost + also,
    )


def read_guide(path: Path) -> Guide:
    """The guide of a task file. Raises DataError."""
    from .readers.documents import load_json

    document = load_json(path, "utf-8")
    if not isinstance(document, Mapping):
        raise DataError(
            "a task that is no JSON object",
            expected="a JSON object with Definition and examples",
            file=str(path),
        )
    return guide_of(document, str(path))
