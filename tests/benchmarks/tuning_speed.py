"""Seconds per computed token of a training step, each way of tuning against full fine-tuning.

Every method takes the same rows; what it computes is counted as it stands in its batches, its own
virtual positions included. A step is loss, gradient, clipping and optimizer. The optimiser's state
must be two numbers per trained parameter. ``--device gpu --rows 16`` measures on a GPU.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from _bench import Figures, finish, parser, side_by_side, table

from formats.collate import Batch, collate
from formats.store import StoredRow
from tasks import catalogue
from unify import build
from unify.backbones import Backbone
from unify.config import compose
from unify.devices import device_of
from unify.learners import Optimization
from unify.quiet import quiet
from unify.suite_data import features
from unify.tuning import counts

BAR = 1.15
METHODS = (
    "full prompt p_tuning prefix p_tuning_v2 lora ia3 adapter parallel_adapter adapter_bias bitfit "
    "unipelt instance_prompt"
).split()


class Method:
    """One backbone tuned one way, its batches and its optimizer."""

    def __init__(
        self, name: str, overrides: list[str], steps: int, size: int, device: torch.device
    ) -> None:
        config = compose("train", [f"tuning={name}", *overrides])
        torch.manual_seed(0)
        format, suite = build.build_format(config["format"]), build.build_suite(config["suite"])
        tasks = [t for t in map(catalogue.load, suite.seen) if format.supports(t.type)]
        self.backbone: Backbone = build.build_backbone(config["model"], format, suite)
        build.tune(config["tuning"], self.backbone, tasks)
        self.backbone.to(device)
        self.trained, self.parameters = counts(self.backbone)
        found = features(
            tasks, format, self.backbone.coder, "train", "preparing", train=True, limit=size
        )
        rows: list[StoredRow] = [t.store[k] for t in found for k in range(len(t.store))]
        order = torch.Generator().manual_seed(0)
        kind = format.name if self.backbone.layout.kind == "encoder" else "generate"
        self.batches: list[Batch] = []
        for _ in range(steps):
            drawn = torch.randint(len(rows), (size,), generator=order).tolist()
            chosen = [rows[k] for k in drawn]
            self.batches.append(collate(chosen, self.backbone.layout, kind).to(device))
        self.optimizer = Optimization(schedule="constant").configure(self.backbone, steps)[
            "optimizer"
        ]
        self.whole: list[float] = []  # seconds of the last steps
        self.fastest = float("inf")
        self.backbone.train()

    def steps(self) -> float:
        """Microseconds per computed token, the median over the steps."""
        found, self.whole = [], []
        for batch in self.batches:
            begun = time.perf_counter()
            self.optimizer.zero_grad()
            (self.backbone.loss(batch) / batch.weight).backward()
            moving = [p for g in self.optimizer.param_groups for p in g["params"]]
            torch.nn.utils.clip_grad_norm_(moving, 1.0)
            self.optimizer.step()
            if batch.ids.is_cuda:
                torch.cuda.synchronize()
            self.whole.append(time.perf_counter() - begun)
            found.append(self.whole[-1] / batch.ids.numel())
        self.fastest = min(self.fastest, statistics.median(self.whole))
        return 1e6 * statistics.median(found)

    def state(self) -> int:
        """Numbers that the optimizer keeps."""
        return sum(
            t.numel() for s in self.optimizer.state.values() for k, t in s.items() if k != "step"
        )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--methods", default=",".join(METHODS))
    arguments.add_argument("--steps", type=int, default=8, help="optimizer steps of a repeat")
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--rows", type=int, default=2, help="per step, with all their options")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument(
        "--overrides", nargs="*", help="key=value of unify train",
        default=["format=entail", "model=minilm", "suite.seen=[sample_trade_goods]"],
    )  # fmt: skip
    options = arguments.parse_args()
    quiet()
    torch.set_num_threads(options.threads)
    methods: dict[str, Any] = {}
    device = device_of(options.device)
    for name in options.methods.split(","):
        methods[name] = Method(name, options.overrides, options.steps, options.rows, device)
        methods[name].steps()  # warm
    calls: dict[str, Callable[[], float]] = {n: m.steps for n, m in methods.items()}
    times: dict[str, Figures] = side_by_side(calls, options.repeats)
    rows: list[list[object]] = []
    missed: list[str] = []
    figures: dict[str, Any] = {}
    for name, method in methods.items():
        ratio = times[name].over(times["full"])
        rows.append(
            [
                name,
                f"{method.trained:,}",
                f"{method.trained / method.parameters:.2%}",
                f"{method.state():,}",
                times[name].show(2),
                ratio.show(2),
                f"{method.fastest / methods['full'].fastest:.2f}",
            ]
        )
        figures[name] = {
            "trained": method.trained,
            "state": method.state(),
            "microseconds": times[name].plain(),
            "ratio": ratio.plain(),
            "step": method.fastest / methods["full"].fastest,
        }
        if ratio.median > BAR:
            missed.append(f"{name}: {ratio.median:.2f}x full fine-tuning, the bar is {BAR:g}x")
        if method.state() != 2 * method.trained:
            missed.append(f"{name}: {method.state()} numbers kept for {method.trained} parameters")
    head = ["", "trained", "of all", "optimizer state", "µs/token", "to full", "whole step"]
    print(table(head, rows))
    finish("tuning_speed", figures, missed, options.json, f"at most {BAR - 1:.0%} over")


if __name__ == "__main__":
    main()
