"""unify predict run=<run> type=<type> [key=value ...] "text" ["text" ...]
unify predict run=<run> type=<type> [key=value ...] file=<csv|tsv|jsonl> [out=<results.jsonl>]
unify predict run=<run> task=<task> file=<csv|tsv|jsonl> | split=<split> [out=<results.jsonl>]

Asks a saved run. What each type needs, beside the text:
  classify    labels=[good,bad]            text_b= for a pair
  multilabel  labels=[joy,anger,fear]
  choose      options=[a,b,c]              the text is the question; context=
  answer      question="Who …?"            the text is the passage; several=true unanswerable=true
  tag         types=[person,place]
  relate      labels=[…] head=Ann tail=Bob
  rate        low=0 high=5 quantum=0.5
  generate
instruction="Is the review good or bad?" says what is asked, in place of the type's default.

With file=, every row is asked. fields.text=<column> maps columns; results go to out= (jsonl; the
default stands beside the file) in row order: {"row", "answer", "scores"}, or {"row", "error"} for
a row or line that could not be read. task= asks as that task does (labels, words, columns), the
rows of a file or of one of its splits.

run=[<run>,<run>] asks several runs that were tuned (tuning=lora …) on one backbone, in one batch;
each record then has its "run". device=gpu asks on a GPU, device=auto where there is one.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formats.errors import ConfigError, RowError, RunError, UnknownName
from formats.examples import KINDS, Example
from formats.spaces import need_text

from ..answers import shown
from ..config import Plain, assignments, check_keys, need

if TYPE_CHECKING:
    from tasks.task import Task

COMMON = ("run", "type", "instruction", "file", "out", "fields", "language", "device")
NEEDS: dict[str, tuple[str, ...]] = {
    "classify": ("labels", "text_b"),
    "multilabel": ("labels", "text_b"),
    "choose": ("options", "context"),
    "answer": ("question", "several", "unanswerable"),
    "tag": ("types",),
    "relate": ("labels", "head", "tail"),
    "rate": ("low", "high", "quantum", "text_b"),
    "generate": (),
}
SCALE = (("low", 0), ("high", 10), ("quantum", 1))


def run(arguments: Sequence[str]) -> int:
    values, texts = assignments(arguments)
    origin = need(values, "run", "predict", "runs/<name>")
    if "task" in values:
        return of_task(origin, values, texts)
    kind = str(need(values, "type", "predict", "classify"))
    if kind not in KINDS:
        raise UnknownName("type", kind, KINDS)
    check_keys(values, (*COMMON, *NEEDS[kind]), f"predict type={kind}")
    if values.get("instruction") is not None:
        need_text(values["instruction"], "instruction")
    scale = [_number(values, *bound) for bound in SCALE]
    if bool(texts) == bool(values.get("file")):
        raise ConfigError(
            "predict asks either texts or a file",
            got=list(arguments),
            expected='unify predict … "a text", or file=rows.csv',
        )
    model = loaded(origin, values)
    model.language = str(values.get("language", "en"))
    if texts:
        for text in texts:
            result = one(model, kind, text, values, scale)
            if isinstance(origin, list):
                for name, answer in result.answer.items():
                    print(f"{shown(answer)}\t{name}\t{text}")
                continue
            print(f"{shown(result.answer)}\t{text}" if len(texts) > 1 else shown(result.answer))
            for option, share in sorted((result.scores or {}).items(), key=lambda s: -s[1]):
                print(f"  {share:6.3f}  {option}")
        return 0
    from ..own import task_from_file

    path = Path(str(values["file"]))
    task = task_from_file(path, kind, declaration(kind, values, scale), labelled=False)
    return every_row(model, task, "data", str(path), out_of(values, path.with_suffix("")))


def of_task(origin: Any, values: Plain, texts: Sequence[str]) -> int:
    """Rows asked as a task asks."""
    import dataclasses

    from tasks import catalogue

    from ..own import like

    check_keys(values, ("run", "task", "file", "split", "out", "device"), "predict task=")
    if texts or ("file" in values) == ("split" in values):
        raise ConfigError(
            "predict task= asks either a file or a split",
            got=[*texts, *(k for k in ("file", "split") if k in values)],
            expected="file=rows.csv, or split=test",
            fix='for texts, say the type: unify predict run=… type=classify labels=[…] "a text"',
        )
    task = catalogue.load(str(values["task"]))
    if "file" in values:
        path = Path(str(values["file"]))
        out = out_of(values, path.with_suffix(""))
        return every_row(loaded(origin, values), like(task, path), "data", str(path), out)
    split = str(values["split"])
    out = out_of(values, Path(f"{task.name}.{split}"))
    task = dataclasses.replace(task, unlabelled=task.unlabelled | {split})
    return every_row(loaded(origin, values), task, split, task.source.place(split), out)


def out_of(values: Plain, asked: Path) -> Path:
    """Where the answers go: ``out=``, or beside what was asked."""
    return Path(str(values.get("out") or asked.with_name(f"{asked.name}.results.jsonl")))


def loaded(origin: Any, values: Plain) -> Any:
    """The model of a run, or of several that were tuned on one backbone, on ``device=``."""
    device = str(values.get("device", "cpu"))
    if isinstance(origin, list):
        from ..tuning.several import Several

        return Several([str(o) for o in origin], device)
    from ..unified import Unified

    return Unified.load(origin, device)


def _words(values: Plain, key: str) -> list[str]:
    found = need(values, key, "predict", "[one,two]")
    items = found if isinstance(found, list) else [found]
    return [str(i) for i in items]


def _number(values: Plain, key: str, default: int) -> float:
    value = values.get(key, default)
    try:
        return value if isinstance(value, int) else float(value)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{key} is no number", got=value, expected=f"a number, as in {key}={default}"
        ) from None


def one(model: Any, kind: str, text: str, values: Plain, scale: Sequence[float]) -> Any:
    """The answer of ``model`` to one text."""
    ask: Plain = {"instruction": values.get("instruction")}
    if kind in ("classify", "multilabel"):
        return model.classify(
            text,
            _words(values, "labels"),
            text_b=values.get("text_b"),
            several=kind == "multilabel",
            **ask,
        )
    if kind == "choose":
        return model.choose(text, _words(values, "options"), context=values.get("context"), **ask)
    if kind == "answer":
        return model.answer(
            need(values, "question", "predict", '"Who …?"'),
            text,
            several=bool(values.get("several")),
            unanswerable=bool(values.get("unanswerable")),
            **ask,
        )
    if kind == "tag":
        return model.tag(text, _words(values, "types"), **ask)
    if kind == "relate":
        head, tail = (str(need(values, k, "predict", "<phrase>")) for k in ("head", "tail"))
        return model.relate(text, head, tail, _words(values, "labels"), **ask)
    if kind == "rate":
        low, high, quantum = map(float, scale)
        return model.rate(
            text,
            low,
            high,
            quantum=quantum,
            text_b=values.get("text_b"),
            **ask,
        )
    return model.generate(text, **ask)


def declaration(kind: str, values: Plain, scale: Sequence[float]) -> Plain:
    """What a task's YAML would say, from the command's values."""
    out: Plain = {}
    for key in ("labels", "types"):
        if key in NEEDS[kind]:
            out[key] = _words(values, key)
    if kind == "rate":
        out["scale"] = list(scale)
    for key in ("several", "unanswerable"):
        if values.get(key):
            out[key] = True
    if values.get("fields"):
        out["fields"] = values["fields"]
    if values.get("language"):
        out["language"] = values["language"]
    if values.get("instruction"):
        out["prompts"] = {"instruction": values["instruction"]}
    return out


def every_row(model: Any, task: Task, split: str, file: str, out: Path) -> int:
    """Asks every row of a split; what was answered stays written whatever comes later."""
    from tasks.task import Skipped

    from ..answers import plain
    from ..data.prepare import row_number
    from ..progress import progress
    from ..unified import shares

    total = task.count(split)
    bad: list[RowError] = []
    answered = 0
    try:
        opened = out.open("w", encoding="utf-8")
    except OSError as failed:
        raise RunError(
            "answers that cannot be written",
            file=str(out),
            got=failed.strerror or failed,
            expected="a file in a folder that is there",
            fix="give another out=<file>",
        ) from None
    with opened as sink, progress("asking", total) as advance:

        def write(record: Plain) -> None:
            sink.write(json.dumps(record, ensure_ascii=False) + "\n")
            sink.flush()

        waiting: dict[int, RowError] = {}  # rows are read a chunk ahead of their answers

        class Listing(Skipped):
            """Keeps a row that cannot be read until its place is reached."""

            def add(self, error: RowError) -> None:
                waiting[int(str(error.where["row"]))] = error

        def refused(example: Example, error: RowError) -> None:
            error.where["row"] = row_number(example)
            error.at(file=file)
            waiting[row_number(example)] = error

        def flush(before: float) -> None:
            for row in sorted(r for r in waiting if r < before):
                bad.append(waiting.pop(row))
                write({"row": row, "error": str(bad[-1])})

        examples = task.examples(split, on_bad_row="skip", skipped=Listing())
        names = getattr(model, "names", ())
        for example, answer, raws in model.predict(examples, task.prompt, refused):
            row = row_number(example)
            flush(row)
            who = {"run": names[answered % len(names)]} if names else {}
            answered += 1
            write({"row": row, **who, "answer": plain(answer, example),
                   "scores": shares(example, raws)})  # fmt: skip
            advance(not names or answered % len(names) == 0)
        flush(math.inf)
    print(f"{answered} rows answered, {len(bad)} could not be read -> {out}")
    for first in bad[:3]:
        print(first, file=sys.stderr)
    return 0 if answered or not bad else 1
