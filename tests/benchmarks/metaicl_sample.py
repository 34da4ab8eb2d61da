"""In-context learning of unseen tasks with words of their own: ``experiment=metaicl_sample`` and
the same model trained multitask, over seeds.

Each run is ``unify train``. Both sides have the same suite, model, optimizer steps and targets per
step: multitask reads a row for every target of an episode (17). Runs that are finished in
``--folder`` are read again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from _bench import finish, parser, table
from _settings import finished, means

METAICL = ("experiment=metaicl_sample",)
MULTITASK = ("experiment=metaicl_sample", "learner=multitask", "data.batch_size=544")
SHOT0, SHOT16, SHUFFLED = "0-shot", "16-shot", "16-shot, shuffled"
GAIN, LABELS, MINUTES = 0.25, 0.15, 20.0


def spread(values: Sequence[float]) -> str:
    """Mean and range, in points."""
    low, high = 100 * min(values), 100 * max(values)
    return f"{100 * statistics.fmean(values):.1f} ({low:.1f} to {high:.1f})"


def judge(seed: int, own: dict[str, float], other: dict[str, float], minutes: float) -> list[str]:
    """Where a seed misses a bar."""
    gains = {
        "16-shot over its own 0-shot": (own[SHOT16] - own[SHOT0], GAIN),
        "16-shot over multitask at 0 shots": (own[SHOT16] - other[SHOT0], GAIN),
        "16-shot over multitask at 16 shots": (own[SHOT16] - other[SHOT16], GAIN),
        "gold over shuffled labels": (own[SHOT16] - own[SHUFFLED], LABELS),
    }
    missed = [
        f"seed {seed}: {name} by {100 * gain:+.1f} points, bar {100 * bar:.0f}"
        for name, (gain, bar) in gains.items()
        if gain < bar
    ]
    if minutes > MINUTES:
        missed.append(f"seed {seed}: {minutes:.1f} minutes, bar {MINUTES:.0f}")
    return missed


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument("--folder", type=Path, help="keep the runs here")
    arguments.add_argument(
        "--overrides", nargs=argparse.REMAINDER, default=[],
        help="key=value of unify train for both sides; stands last",
    )  # fmt: skip
    given = arguments.parse_args()
    found: dict[str, dict[int, dict[str, float]]] = {"metaicl": {}, "multitask": {}}
    minutes: dict[str, list[float]] = {"metaicl": [], "multitask": []}
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as made:
        folder = given.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in map(int, given.seeds.split(",")):
            for side, chosen in (("metaicl", METAICL), ("multitask", MULTITASK)):
                overrides = [*chosen, f"seed={seed}", *given.overrides]
                report = finished(f"{side}-{seed}", overrides, folder)
                found[side][seed] = means(report)
                minutes[side].append(report["seconds"] / 60)
                print(f"{side}, seed {seed}: {found[side][seed]}", flush=True)
            missed += judge(
                seed, found["metaicl"][seed], found["multitask"][seed], minutes["metaicl"][-1]
            )
    head = ("mean over unseen tasks", SHOT0, SHOT16, SHUFFLED, "minutes")
    rows = [
        (
            side,
            *(spread([run[s] for run in runs.values()]) for s in (SHOT0, SHOT16, SHUFFLED)),
            f"{statistics.fmean(minutes[side]):.1f}",
        )
        for side, runs in found.items()
    ]
    print(table(head, rows))
    bar = f"{100 * GAIN:.0f} points over 0-shot and multitask, {100 * LABELS:.0f} over shuffled"
    finish("metaicl_sample", {"runs": found, "minutes": minutes}, missed, given.json, bar)


if __name__ == "__main__":
    main()
