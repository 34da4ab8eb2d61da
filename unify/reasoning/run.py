"""A reasoning method over a task's rows: written as they come, continued, measured, reported."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from formats.errors import ConfigError, UnifyError, UnsupportedCell
from formats.examples import matches
from tasks import baselines, catalogue, metrics
from tasks.metrics import Record
from tasks.task import Task

from .. import runs
from ..diagnosis import calibration
from ..evaluation import TaskResult
from ..kept import Kept, digest, restored, written
from ..progress import progress
from ..report import Report, write
from ..scoring import Writing
from .build import Built, Method, build
from .demos import Demo
from .lm import LM
from .questions import question

SPLITS = ("test", "validation", "train")


def _code() -> str:
    """A digest of this package and of what writes."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), *sorted((here.parent / "scoring").glob("*.py"))]
    return digest([f.read_text("utf-8") for f in files])


def eval_split(task: Task, asked: str | None) -> str:
    """The split that is asked for, or the first labelled one of test, validation and train."""
    found = asked or next(
        (s for s in (*SPLITS, *task.splits()) if s in task.splits() and s not in task.unlabelled),
        None,
    )
    if found is None or found not in task.splits():
        known = ", ".join(task.splits())
        raise UnifyError("no such split", task=task.name, got=asked, expected=known)
    return found


def answered(
    method: Method, lm: LM, task: Task, split: str, rows: int, batch: int, kept: Kept
) -> Iterator[tuple[Record, dict[str, Any], bool]]:
    """Every row's record, what is written of it, and whether it was computed now."""
    earlier = kept.begin()
    examples = list(islice(task.examples(split, on_bad_row="skip"), rows))
    for row, record in zip(earlier, restored(examples, earlier), strict=True):
        yield record, row, False
    groups = task.groups(split)
    with kept.append() as sink:
        for at in range(len(earlier), len(examples), batch):
            part = examples[at : at + batch]
            numbers = range(at, at + len(part))
            found = method(lm, [question(e, task) for e in part], numbers)
            for number, example, outcome in zip(numbers, part, found, strict=True):
                place = int(example.id.rsplit("/", 1)[1])
                group = None if groups is None else groups[place]
                record = Record(example, outcome.answer, None, group)
                row = {**written(record), "texts": list(outcome.texts), "number": number}
                row |= outcome.met._asdict()
                if outcome.share is not None:
                    row["share"] = round(outcome.share, 6)
                sink.write(json.dumps(row, ensure_ascii=False) + "\n")
                yield record, row, True


def evaluate(
    built: Built,
    lm: LM,
    task: Task,
    *,
    folder: Path,
    about: Mapping[str, Any],
    label: str,
    split: str | None = None,
    rows: int = 50,
    batch: int = 16,
    seed: int = 0,
    resamples: int = 1000,
    shown: int = 10,
) -> TaskResult:
    """One task's result; rows stand in ``folder`` as they come. ``about`` tells, beside model,
    demonstrations and code, what shapes a row."""
    begun = time.perf_counter()
    split = eval_split(task, split)
    kept = Kept(
        folder / f"{task.name.replace('/', '_')}.jsonl",
        digest(lm.identity(), task.fingerprint(), split, dict(about), built.demos, seed, _code()),
        digest(task.metric, resamples, shown, label, rows),
    )
    if (finished := kept.result()) is not None:
        return TaskResult(**finished)
    records: list[Record] = []
    examples: list[dict[str, Any]] = []
    shares: list[float] = []
    counts = Counter[str]()
    earlier = 0
    with progress(f"{label} on {task.name}", rows) as advance:
        stream = answered(built.method, lm, task, split, rows, batch, kept)
        for record, row, new in islice(stream, rows):
            advance(1)
            earlier += not new
            counts["unread_answers"] += record.answer is None
            counts["unfinished_texts"] += row["unfinished"]
            counts["cut_rows"] += row["cut"] > 0
            counts["cut_tokens"] += row["cut"]
            records.append(record)
            if "share" in row:
                shares.append(row["share"])
            if len(examples) < shown:
                asked = question(record.example, task).text
                examples.append({**row, "prompt": asked + "\n\n" + "\n--\n".join(row["texts"])})
    if not records:
        raise UnifyError(
            "no labelled row to reason about",
            fix="choose a split with gold answers",
            task=task.name,
            split=split,
        )
    metric = metrics.metric(task.metric, task.positive)
    stats = metric.rows(records)
    low, high = metrics.bootstrap(metric, stats, n=resamples, seed=seed)
    trivial = baselines.values(metric, records, seed)
    notes: dict[str, Any] = {**counts, **built.notes}
    if earlier:
        notes["kept_rows"] = earlier
    if shares:
        notes["calibration"] = calibration(shares, _right(records, metric))
        notes["agreement"] = sum(shares) / len(shares)
    result = TaskResult(
        task.name,
        task.type.__name__,
        label,
        metric.name,
        metric.reduce(stats),
        low,
        high,
        len(records),
        trivial,
        time.perf_counter() - begun,
        notes,
        examples,
    )
    kept.finish(asdict(result))
    return result


def _right(records: Sequence[Record], metric: metrics.Metric) -> list[bool]:
    """Per row whether its answer counts as right: by the metric where it has a row's value."""
    if isinstance(metric, metrics.Mean):
        return [metric.score(r.example, r.answer) >= 1 for r in records]
    return [matches(r.example, r.answer) for r in records]


def reason(config: Mapping[str, Any], lm: LM, folder: Path) -> Report:
    """The run that ``config`` (``conf/reason.yaml``) asks for; writes ``folder``. A task that the
    method cannot ask is skipped and said; raises ConfigError where that is all of them."""
    begun = time.perf_counter()
    runs.write_config(folder, config)
    method = config["reasoning"]
    results: list[TaskResult] = []
    skipped: dict[str, str] = {}
    tasks = config["tasks"] if isinstance(config["tasks"], list) else [config["tasks"]]
    for name in tasks:
        task = catalogue.load(str(name))
        try:
            results.append(_task(config, lm, task, folder))
        except (ConfigError, UnsupportedCell) as error:
            if len(skipped) == len(tasks) - 1:
                raise
            skipped[task.name] = str(error)
    report = Report(
        title=f"{method['label']} with {runs.called(Path(str(config['model']['name'])))}",
        unseen=results,
        skipped=skipped,
        seconds=time.perf_counter() - begun,
        config=(folder / runs.CONFIG).read_text(encoding="utf-8"),
        versions=runs.versions(),
        kind="reason",
    )
    write(report, folder, examples=config["report"]["examples"])
    return report


def _task(config: Mapping[str, Any], lm: LM, task: Task, folder: Path) -> TaskResult:
    method, given = config["reasoning"], config["writing"]
    writing = Writing(**{**given, "stop": tuple(given["stop"]), "seed": config["seed"]})
    split = eval_split(task, config["split"])
    built = build(method, lm, task, split, writing, config["seed"])
    if built.demos:
        _write_demos(folder / f"demonstrations_{task.name.replace('/', '_')}.json", built.demos)
    return evaluate(
        built,
        lm,
        task,
        folder=folder / "predictions",
        about={"reasoning": method, "writing": given},
        label=method["label"],
        split=split,
        rows=config["rows"],
        batch=config["batch"],
        seed=config["seed"],
        resamples=config["resamples"],
        shown=config["report"]["examples"],
    )


def _write_demos(path: Path, demos: Sequence[Demo]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [asdict(d) for d in demos]
    path.write_text(json.dumps(shown, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
