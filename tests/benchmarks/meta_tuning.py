"""Meta-tuning on published rows: AUC of label descriptions on unseen clusters, by what was seen.

Trains `experiment=meta_tuning_real` (text and label description encoded apart: dual) and the same
with a cross-encoder on some of the suite's seen tasks, all of them, and those of one cluster, and
scores the suite's unseen clusters: the mean over clusters of the mean over their tasks of the mean
AUC-ROC over label descriptions. Beside them stand the cosine in the encoder without training, as it
is (`raw_cosine`) and against the row's other descriptions as all the others are scored (`cosine`),
and 0.5, which is any answer that does not look at the text. Finished runs are not repeated.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _bench import finish, machine, parser, table

from tasks import catalogue, metrics, suites
from tasks.subsets import parse
from unify import predictions, runs
from unify.config import compose
from unify.kept import restored
from unify.report.lines import Level, Line, Panel, picture
from unify.train import train

EXPERIMENT = "meta_tuning_real"
# A pass per row and description: as long as the others would take hours without a GPU.
CROSS = (
    "model=minilm", "model.head_options={pool: mean}", "data.batch_size=8", "format.negatives=3",
    "trainer.max_steps=80", "learner.start=0.0", "learner.loss=both",
    "learner.optimization.lr=1e-4", "learner.optimization.frozen=['*embeddings*','*layer.[01].*']",
)  # fmt: skip
UNTRAINED = ("learner.start=1.0", "trainer.max_steps=1")  # a step of which nothing is kept
LEVEL = 0.5  # of an answer that does not look at the text


@dataclass(frozen=True)
class Setting:
    """One training: ``seen`` tasks (none: untrained) by ``overrides``, in the group ``what``."""

    name: str
    what: str
    head: str
    seen: tuple[str, ...]
    overrides: tuple[str, ...]


def cluster_of(task: str) -> str:
    return catalogue.load(parse(task)[0]).cluster


def settings(options: argparse.Namespace, seen: Sequence[str]) -> Iterator[Setting]:
    """All trainings, the untrained ones first."""
    yield Setting("cosine", "cosine", "dual", tuple(seen), UNTRAINED)
    raw = (*UNTRAINED, "format.relative=false")
    yield Setting("raw_cosine", "cosine", "dual", tuple(seen), raw)
    sizes = sorted({min(n, len(seen)) for n in options.sizes}, reverse=True)
    for order in range(options.orders):
        drawn = np.random.default_rng(order).permutation(len(seen))
        for size in sizes:
            some = tuple(seen[k] for k in sorted(drawn[:size]))
            name = f"dual_{size}_{order}"
            yield Setting(name, f"dual, {size}", "dual", some, (f"seed={order}",))
    for cluster in options.clusters:
        own = tuple(t for t in seen if cluster_of(t) == cluster)
        yield Setting(f"dual_{cluster}", "dual, one cluster", "dual", own, ())
    for cross in range(options.cross):
        over = (*CROSS, f"seed={cross}")
        yield Setting(f"cross_{len(seen)}_{cross}", "cross", "cross", tuple(seen), over)


def trained(setting: Setting, folder: Path, overrides: Sequence[str]) -> Path:
    """The folder of the finished run."""
    place = folder / setting.name
    if not runs.finished(place):
        tasks = json.dumps(list(setting.seen))
        given = [f"experiment={EXPERIMENT}", f"suite.seen={tasks}", *setting.overrides, *overrides]
        train(compose("train", [*given, f"name={setting.name}"]), place)
    return place


def statistics(place: Path, name: str) -> dict[str, np.ndarray]:
    """Per unseen task what the metric ``name`` counts of each row."""
    found = {}
    for result, files in predictions.predictions(place).items():
        task = catalogue.load(result)
        if name not in metrics.FOR_KIND[task.kind]:
            continue
        rows = list(predictions.read_rows(files["0"]).values())
        split = str(rows[0]["id"]).rsplit("/", 2)[1]
        found[result] = metrics.metric(name).rows(list(restored(task.examples(split), rows)))
    return found


def resampled(
    stats: Mapping[str, np.ndarray], name: str, n: int
) -> tuple[float, np.ndarray, dict[str, float]]:
    """The mean over clusters, the same of ``n`` resamplings of the rows ``[n]``, and per task.

    The same rows are drawn whatever the run, so that differences of runs are paired."""
    metric = metrics.metric(name)
    values: dict[str, list[float]] = {}
    drawn: dict[str, list[np.ndarray]] = {}
    each = {}
    for number, (task, own) in enumerate(stats.items()):
        rng = np.random.default_rng([0, number])
        counts = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), n)
        each[task] = metric.reduce(own)
        values.setdefault(cluster_of(task), []).append(each[task])
        drawn.setdefault(cluster_of(task), []).append(np.array(metric.resampled(own, counts)))
    value = float(np.mean([np.mean(v) for v in values.values()]))
    return value, np.mean([np.mean(v, axis=0) for v in drawn.values()], axis=0), each


def interval(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def measured(setting: Setting, place: Path, start: Path, n: int) -> dict[str, Any]:
    """What a run reaches on the unseen clusters, and by how much more than the untrained one."""
    auc, drawn, each = resampled(statistics(place, "auc"), "auc", n)
    accuracy, _, _ = resampled(statistics(place, "accuracy"), "accuracy", 1)
    before, base, _ = resampled(statistics(start, "auc"), "auc", n)
    return {
        "name": setting.name,
        "what": setting.what,
        "head": setting.head,
        "seen": len(setting.seen),
        "auc": auc,
        "interval": interval(drawn),
        "gain": auc - before,
        "gain_interval": interval(drawn - base),
        "accuracy": accuracy,
        "tasks": each,
    }


def cells(found: Mapping[str, Any], start: Mapping[str, Any]) -> list[str]:
    low, high = found["interval"]
    least, most = found["gain_interval"]
    worst = min(found["tasks"], key=lambda t: found["tasks"][t] - start["tasks"][t])
    by = found["tasks"][worst] - start["tasks"][worst]
    trained = found["what"] != "cosine"
    return [
        found["name"],
        str(found["seen"]) if trained else "0",
        f"{found['auc']:.3f} ({low:.3f}-{high:.3f})",
        f"{found['gain']:+.3f} ({least:+.3f} to {most:+.3f})",
        f"{found['accuracy']:.3f}",
        f"{by:+.3f} {worst}" if by else "",
    ]


def drawing(entries: Sequence[Mapping[str, Any]]) -> str:
    """The picture: AUC over the number of seen tasks."""
    untrained = [e for e in entries if e["what"] == "cosine"]
    kinds = {"one cluster": [], "dual": [], "cross": []}  # type: dict[str, list[Any]]
    for found in (e for e in entries if e not in untrained):
        kind = "one cluster" if found["what"].endswith("one cluster") else found["head"]
        kinds[kind].append(found)
    levels = [Level(e["name"].replace("_", " "), e["auc"], e["interval"]) for e in untrained]
    levels.append(Level("constant", LEVEL))
    drawn = [
        # A line says "more of the same": single clusters are no such thing.
        Line(name, [(float(e["seen"]), e["auc"]) for e in found],
             spans=[e["interval"] for e in found], marks=True, joined=name != "one cluster")
        for name, found in kinds.items() if found
    ]  # fmt: skip
    title = "mean AUC-ROC, unseen clusters"
    panel = Panel(drawn, levels, title, x="seen tasks", log_x=True)
    return picture([panel], f"{title}, by seen tasks", height=300)


def judge(entries: Sequence[Mapping[str, Any]], most: int) -> list[str]:
    """Where the dual encoder that saw everything is not above the cosine in mean, or loses on a
    task by more than a point."""
    start, missed = entries[0], []
    for found in entries[1:]:
        if found["what"] != f"dual, {most}":
            continue
        if found["gain"] <= 0:
            missed.append(f"{found['name']}: {found['gain']:+.3f} of the cosine")
        for task, value in found["tasks"].items():
            if value < start["tasks"][task] - 0.01:
                lost = value - start["tasks"][task]
                missed.append(f"{found['name']}: {task} {lost:+.3f} of the cosine")
    return missed


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8, 1000])
    arguments.add_argument("--orders", type=int, default=3, help="orders of the seen tasks")
    arguments.add_argument("--cross", type=int, default=1, help="trainings of a cross-encoder")
    arguments.add_argument("--clusters", nargs="*", default=["sentiment", "intent", "news_topic"])
    arguments.add_argument("--resamples", type=int, default=500)
    arguments.add_argument("--rows", type=int, default=150, help="of each unseen task")
    arguments.add_argument("--runs", type=Path, default=Path("runs/meta_tuning"))
    arguments.add_argument("--plot", type=Path, help="write the picture (SVG) here")
    arguments.add_argument("--overrides", nargs=argparse.REMAINDER, default=[], help="stands last")
    options = arguments.parse_args()
    options.overrides.insert(0, f"suite.limits.test={options.rows}")
    suite = compose("train", [f"experiment={EXPERIMENT}", *options.overrides])["suite"]
    seen = suites.select(suite["seen"])
    print(machine(), flush=True)
    entries: list[dict[str, Any]] = []
    start = options.runs / "cosine"
    for setting in settings(options, seen):
        place = trained(setting, options.runs, options.overrides)
        entries.append(measured(setting, place, start, options.resamples))
        print("  ".join(cells(entries[-1], entries[0])), flush=True)
        if options.plot and entries[-1]["what"] != "cosine":  # there is a point to draw
            options.plot.write_text(drawing(entries), encoding="utf-8")
    head = ("run", "seen", "AUC", "over the cosine", "accuracy", "worst task")
    print(f"\n{table(head, [cells(e, entries[0]) for e in entries])}")
    names = list(entries[0]["tasks"])
    each = [[e["name"], *(f"{e['tasks'][t]:.3f}" for t in names)] for e in entries]
    print(f"\n{table(('AUC', *names), each)}")
    missed = judge(entries, len(seen))
    finish("meta_tuning", entries, missed, options.json, "above the cosine, no task a point below")


if __name__ == "__main__":
    main()
