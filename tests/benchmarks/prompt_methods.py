"""Few-shot methods by tasks: mean ± standard deviation over seeds, trained parameters, seconds.

Every cell is a run of its own (`unify train experiment=few_shot learner=… task=… shots=… seed=…`),
all of one encoder with a language-model head, which is pre-trained first if the cache has none.
Runs in `--runs` that are finished are not repeated: a benchmark that `--minutes` stopped (no run is
started after so many) goes on when it is started again, and the table says what is missing.
`--quick` is a smoke test, `--methods` and `--also` choose methods, `--jobs` cells run side by side,
`--overrides trainer=gpu trainer.precision=32-true` stand last in every run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tasks.sources import cache_root
from unify.cli import main as main_of
from unify.report.methods import of_folders, write_methods
from unify.report.tables import show

METHODS = (
    "finetune", "pet", "ipet", "prompt_tuning", "p_tuning", "prefix", "ppt", "lm_bff", "efl",
    "protoverb", "lora", "adapter", "bitfit", "unipelt", "adapter_bias",
)  # fmt: skip
ALSO = (
    "linear_head", "weighted_words", "found_template", "autoprompt", "rlprompt", "transprompt",
    "nsp_bert",
)  # fmt: skip
ENTAIL = {"efl": "minilm_mlm", "nsp_bert": "minilm_nsp"}
PRETRAIN = [
    "name=minilm_mlm", "tasks=[trec,sst2,mr,subj,ag_news,cola,tweeteval_emotion]", "rows=3000",
    "steps=1000", "tokens=1024", "longest=48", "head=0.1", "lr=3e-4",
    "objectives=[masked,masked,masked,next_sentence]", "bf16=auto",
]  # fmt: skip


def overrides(method: str, task: str, shots: int, seed: int, steps: int) -> list[str]:
    """The run's settings; slow methods are given less to do, which the table's seconds include."""
    own = [f"learner={method}", f"task={task}", f"shots={shots}", f"seed={seed}",
           f"trainer.max_steps={steps}", "trainer.threads=1"]  # fmt: skip
    if method in ENTAIL:
        return ["experiment=few_shot_entail", f"model={ENTAIL[method]}", *own]
    more = {
        "ipet": ["learner.unlabelled=150", "learner.generations=1"],
        "lm_bff": ["learner.draws=2", "model.window=256"],  # its demonstrations stand there, too
        "ppt": [f"learner.steps={steps // 2}", "learner.texts=400"],
        "autoprompt": ["learner.top=5"],
    }
    return ["experiment=few_shot", *own, *more.get(method, [])]


def run(arguments: list[str]) -> float | None:
    """Seconds of one command; None where it fails (it says why)."""
    begun = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        failed = main_of(arguments)
    return None if failed else time.perf_counter() - begun


def cell(folder: Path, arguments: list[str], until: float) -> str | None:
    """Runs one cell, unless it is later than ``until`` (seconds since the epoch); what to tell."""
    if time.time() > until:
        return None
    try:
        seconds = run(arguments)
    except Exception:  # the other cells go on
        traceback.print_exc()
        seconds = None
    return f"{folder.name}: {'failed' if seconds is None else f'{seconds:.0f} s'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/prompt_methods"))
    parser.add_argument("--tasks", nargs="+", default=["trec", "sst2"])
    parser.add_argument("--methods", nargs="+", default=[*METHODS])
    parser.add_argument("--also", action="store_true", help=f"and {', '.join(ALSO)}")
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--jobs", type=int, default=1, help="processes, a run each at a time")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--overrides", nargs="*", default=[], help="key=value of unify train")
    given = parser.parse_args()
    if given.quick:
        given.tasks, given.seeds, given.steps, given.test = given.tasks[:1], [0, 1], 2, 20
        given.shots = min(given.shots, 4)
    methods = [*given.methods, *(ALSO if given.also else ())]
    begun, until = time.perf_counter(), time.time() + 60 * given.minutes
    if not (cache_root() / "models" / "minilm_mlm").exists():
        print(f"pre-training: {run(['pretrain', *PRETRAIN])} s", flush=True)
    folders, left = [], []
    # Seeds outermost: a benchmark that is stopped has all methods on the first seeds.
    cells = [(s, t, m) for s in given.seeds for t in given.tasks for m in methods]
    for seed, task, method in cells:
        folder = given.runs / f"{method}_{task}_{given.shots}_{seed}"
        folders.append(folder)
        if (folder / "report.json").exists():
            continue
        name = folder.relative_to("runs") if folder.is_relative_to("runs") else folder.resolve()
        asked = [*overrides(method, task, given.shots, seed, given.steps),
                 f"protocol.test={given.test}", f"name={name}", *given.overrides]  # fmt: skip
        left.append((folder, ["train", *asked], until))
    told = json.dumps([given.steps, given.test, given.overrides])
    asked_before = given.runs / "asked.json"
    if asked_before.exists() and asked_before.read_text() != told:
        print(f"{given.runs} holds runs of {asked_before.read_text()}: give another --runs")
        return 1
    given.runs.mkdir(parents=True, exist_ok=True)
    asked_before.write_text(told)
    if given.jobs == 1:
        for one in left:
            print(cell(*one) or f"{one[0].name}: not started", flush=True)
    else:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(given.jobs, spawn) as pool:
            for done in as_completed([pool.submit(cell, *one) for one in left]):
                lost = done.exception()  # of a process that was killed
                print(lost or done.result() or "a run was not started: no time left", flush=True)
    table = of_folders(folders)
    if table is None:
        print("no run finished")
        return 1
    write_methods(table, given.runs)
    show(table)
    print(f"\n{time.perf_counter() - begun:.0f} s in all; {given.runs / 'methods.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
