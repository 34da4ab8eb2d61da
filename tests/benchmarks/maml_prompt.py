"""Where a soft prompt should start: k-shot adaptation by gradient steps on the prompt alone.

A language model is trained on the sample world's seen tasks and then frozen. Its soft prompt starts
as words drawn from the vocabulary (from scratch), as what plain multitask training of the prompt
gives, or as what MAML, FOMAML and Reptile give (``experiment=maml_prompt``) on the same seen tasks
and rows. Unseen tasks are then adapted to by 0, 1, 2 … gradient steps on the same k rows at the
best rate of ``--rates`` for each start, chosen on ``--held``: tasks that are neither seen nor
unseen. The table and the picture show the mean over unseen tasks; there is no bar.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _bench import finish, parser, table
from _settings import means

from unify import runs
from unify.config import compose
from unify.evaluate import evaluate
from unify.report import lines
from unify.train import train

HELD = "[sample_farming_claim,sample_festival_what_choice,sample_craft_relation]"
UNSEEN = "[sample_sea_state,sample_music_relation,sample_court_who_choice]"
SEEN = (
    "[sample_*,-cluster:sample_sea,-cluster:sample_music,-cluster:sample_court,"
    "-cluster:sample_farming,-cluster:sample_festival,-cluster:sample_craft]"
)
BASE = (
    "format=generate", "model=tiny_llama", "data=mixture", "trainer.val_check_interval=null",
    "evaluation.resamples=10",
)  # fmt: skip
PROMPT = ("experiment=maml_prompt", "init=runs/base")
MULTITASK = (  # the same prompt, rows and rates as the experiment's, by another learner
    *BASE, "init=runs/base", "tuning=prompt", "tuning.length=8", "data.rates=temperature",
    "data.temperature=5.0", "learner=multitask", "learner.optimization.lr=1.0e-2",
    "learner.optimization.weight_decay=0.0", "learner.optimization.hold=0.0",
)  # fmt: skip
STEPS = (1, 2, 5, 10, 20)
STARTS = ("scratch", "multitask", "maml", "fomaml", "reptile")


def overrides(start: str, steps: int) -> list[str]:
    """How the prompt's ``start`` is trained; ``steps`` are MAML's optimizer steps, and multitask
    gets as many support and query rows (4 tasks of 16) in each of its own."""
    if start == "scratch":  # one step that moves nothing
        frozen = ["learner.optimization.lr=1.0e-12", "trainer.max_steps=1", "data.batch_size=4"]
        return [*MULTITASK, *frozen]
    if start == "multitask":
        return [*MULTITASK, f"trainer.max_steps={steps}", "data.batch_size=64"]
    return [*PROMPT, f"learner.variant={start}", f"trainer.max_steps={steps}"]


def trained(name: str, chosen: Sequence[str]) -> None:
    """The run ``name`` in the working folder, unless it is finished."""
    folder = Path("runs") / name
    if not runs.finished(folder):
        train(compose("train", [f"name={name}", *chosen]), folder)


def adapted(start: str, unseen: str, rate: float, given: Any) -> dict[int, float]:
    """Gradient steps of ``rate`` on the prompt -> mean over the tasks ``unseen``."""
    name = f"{start}-{rate:g}-{'held' if unseen == given.held else 'unseen'}"
    folder = Path("runs") / name
    if not (folder / "report.json").exists():
        chosen = [
            f"name={name}", f"run=runs/{start}", f"suite.unseen={unseen}",
            f"suite.limits={{train: 2000, test: {given.rows}}}", "report.examples=0",
            f"evaluation.shots=[0,{given.shots}]", f"evaluation.steps={list(STEPS)}",
            f"evaluation.seeds={given.seeds}", f"evaluation.step_lr={rate}",
            "evaluation.resamples=10",
        ]  # fmt: skip
        evaluate(compose("evaluate", chosen), folder)
    found = means(json.loads((folder / "report.json").read_text(encoding="utf-8")))
    return {0: found["0-shot"]} | {n: found[f"{given.shots} rows, {n} steps"] for n in STEPS}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--starts", default=",".join(STARTS))
    arguments.add_argument("--rates", default="0.3,1.0,3.0", help="of the steps on the k rows")
    arguments.add_argument("--shots", type=int, default=16)
    arguments.add_argument("--rows", type=int, default=100, help="test rows per task")
    arguments.add_argument("--base-steps", type=int, default=1500)
    arguments.add_argument("--steps", type=int, default=100, help="optimizer steps of MAML")
    arguments.add_argument("--seeds", default="[0,1,2]", help="that the k rows are drawn with")
    arguments.add_argument("--held", default=HELD, help="tasks that choose the rate")
    arguments.add_argument("--unseen", default=UNSEEN)
    arguments.add_argument("--folder", type=Path, help="keep the runs here")
    arguments.add_argument("--plot", type=Path, help="write the picture to this SVG file")
    arguments.add_argument(
        "--overrides", nargs=argparse.REMAINDER, default=[],
        help="key=value of unify train for all trainings; stands last",
    )  # fmt: skip
    given = arguments.parse_args()
    common = [f"suite.seen={SEEN}", "suite.unseen=[]", "report.examples=0", *given.overrides]
    found: dict[str, dict[int, float]] = {}
    chosen: dict[str, float] = {}
    for path in ("json", "plot"):
        setattr(given, path, getattr(given, path) and getattr(given, path).resolve())
    with tempfile.TemporaryDirectory() as made:
        folder = (given.folder or Path(made)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        trained("base", [*BASE, f"trainer.max_steps={given.base_steps}", *common])
        for start in given.starts.split(","):
            trained(start, [*overrides(start, given.steps), *common])
            rates = [float(rate) for rate in given.rates.split(",")]
            held = {rate: adapted(start, given.held, rate, given) for rate in rates}
            rate = chosen[start] = max(rates, key=lambda r: sum(held[r].values()))
            found[start] = adapted(start, given.unseen, rate, given)
            print(f"{start}, rate {rate:g}: {found[start]}", flush=True)
        os.chdir(folder.parent)
    print(shown(found, chosen))
    if given.plot is not None:
        given.plot.write_text(picture(found, given.shots), encoding="utf-8")
    finish("maml_prompt", {"curves": found, "rates": chosen}, [], given.json, "there is none")


def shown(found: Mapping[str, Mapping[int, float]], rates: Mapping[str, float]) -> str:
    head = ("prompt starts", "rate", *(f"{n} steps" for n in (0, *STEPS)))
    rows: list[Sequence[object]] = [
        (start, f"{rates[start]:g}", *(f"{100 * curve[n]:.1f}" for n in (0, *STEPS)))
        for start, curve in found.items()
    ]
    return table(head, rows)


def picture(found: Mapping[str, Mapping[int, float]], shots: int) -> str:
    """The curves; no step stands at half a step, since the axis is logarithmic."""
    drawn = [
        lines.Line(start, [(n or 0.5, value) for n, value in curve.items()], marks=True)
        for start, curve in found.items()
    ]
    across = f"gradient steps on {shots} rows (0.5: none)"
    panel = lines.Panel(drawn, title="mean of unseen tasks", x=across, log_x=True)
    return lines.picture([panel], f"{panel.title} by {across}", height=300)


if __name__ == "__main__":
    main()
