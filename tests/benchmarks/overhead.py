"""Seconds per optimizer step of the whole training path, against a bare PyTorch loop.

The whole path is what ``unify train`` runs: the mixture's batches made on the way, the learner,
the Lightning trainer with its callbacks and CSV logger. The bare loop has the same weights at the
start and the very same batches, ready before its clock runs. Both must end at the same weights.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch
from _bench import Figures, finish, parser, side_by_side, table
from _loops import Setting, bare, prepare, whole

from unify.quiet import quiet

BAR = 1.10
CLOSE = 1e-6


def measure(setting: Setting, repeats: int) -> tuple[dict[str, Figures], float, float]:
    """Medians of milliseconds per step, their ratio, and how far apart the final weights are.

    The ratio compares the sums over the steps of each step's fastest repeat: step k is the same
    work each time, so that only what other processes took is left out.
    """
    final: dict[str, list[torch.Tensor]] = {}
    taken: dict[str, list[list[float]]] = {"whole": [], "bare": []}

    def run(name: str) -> float:
        taken[name].append((whole if name == "whole" else bare)(setting))
        final[name] = [t.double() for t in setting.backbone.state_dict().values()]
        return 1000 * statistics.median(taken[name][-1])

    medians = side_by_side({"whole": lambda: run("whole"), "bare": lambda: run("bare")}, repeats)
    fastest = {n: sum(map(min, zip(*t, strict=True))) for n, t in taken.items()}
    pairs = zip(final["whole"], final["bare"], strict=True)
    apart = max(float((a - b).abs().max()) for a, b in pairs)
    return medians, fastest["whole"] / fastest["bare"], apart


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--formats", default="extract,entail,generate")
    arguments.add_argument("--steps", type=int, default=60, help="optimizer steps of a repeat")
    arguments.add_argument("--warm", type=int, default=10, help="of these, not timed")
    arguments.add_argument("--repeats", type=int, default=7)
    arguments.add_argument("--rows", type=int, default=200, help="rows per task")
    arguments.add_argument("--overrides", nargs="*", default=[], help="key=value of unify train")
    options = arguments.parse_args()
    quiet()
    rows: list[list[object]] = []
    missed: list[str] = []
    figures: dict[str, Any] = {}
    for format in options.formats.split(","):
        setting = prepare(format, options.steps, options.warm, options.rows, options.overrides)
        times, ratio, apart = measure(setting, options.repeats)
        ratios = times["whole"].over(times["bare"])
        size = sum(p.numel() for p in setting.backbone.parameters())
        rows.append(
            [
                format,
                f"{size / 1e6:.2f}M",
                times["whole"].show(1),
                times["bare"].show(1),
                ratios.show(3),
                f"{ratio:.3f}",
                f"{apart:.1e}",
            ]
        )
        figures[format] = {
            "ratio": ratio,
            "ratios": ratios.plain(),
            "apart": apart,
            "milliseconds": {n: f.plain() for n, f in times.items()},
        }
        if ratio > BAR:
            missed.append(f"{format}: {ratio:.3f}x the bare loop, the bar is {BAR:g}x")
        if apart > CLOSE:
            missed.append(f"{format}: final weights differ by {apart:.1e}")
    head = [
        "",
        "parameters",
        "whole ms/step",
        "bare ms/step",
        "ratio of medians",
        "ratio of fastest steps",
        "weights apart",
    ]
    print(table(head, rows))
    finish("overhead", figures, missed, options.json, f"at most {BAR - 1:.0%} over")


if __name__ == "__main__":
    main()
