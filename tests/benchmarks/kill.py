"""A run killed at random moments and started again by the same command ends as if it had lived.

    python tests/benchmarks/kill.py [--kills 20] [--steps 120] [--seed 0] [--folder runs/kill]

A small model with dropout trains and is evaluated once without a stop. Then, for each kill, the
same run is struck by SIGKILL: at a random time, in a random validation batch, or while a random
byte of a checkpoint is being written; and started again until it ends. Weights, optimizer, losses
per step, validation losses, the lines of metrics.csv and the evaluation's figures must be the
uninterrupted run's, bit for bit. Every run is forked off one process that has imported everything.
Exits with 1 where one is not.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

RUN = (
    "suite.seen=[sample_trade_goods,sample_mining_who]", "suite.unseen=[sample_sea_state]",
    "suite.limits.train=60", "suite.limits.test=12", "format=extract", "model=tiny_encoder",
    "model.config.hidden_size=32", "model.config.num_hidden_layers=2",
    "model.config.num_attention_heads=2", "model.config.intermediate_size=48",
    "model.config.embedding_size=32", "model.config.hidden_dropout_prob=0.1",
    "model.config.attention_probs_dropout_prob=0.1", "model.window=128", "data.batch_size=8",
    "data.accumulate=2", "data.validation_rows=12", "trainer.threads=1",
    "evaluation.resamples=20",
)  # fmt: skip
LONGEST = 600  # seconds; a run that takes longer hangs
Strike = Callable[[], None]  # arranges, in the process to be killed, for its end


def config_of(steps: int, every: int, *more: str) -> dict[str, Any]:
    """The run's configuration: a checkpoint every ``every`` steps, validation nearly as often."""
    from unify.config import compose

    return compose("train", [
        *RUN, f"trainer.max_steps={steps}", f"trainer.checkpoint_every={every}",
        f"trainer.val_check_interval={every - 2}", *more,
    ])  # fmt: skip


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_time(seconds: float) -> Strike:
    """Dies that many seconds after its start."""

    def arrange() -> None:
        signal.signal(signal.SIGALRM, lambda *_: die())
        signal.setitimer(signal.ITIMER_REAL, seconds)

    return arrange


def in_validation(batch: int) -> Strike:
    """Dies in the ``batch``-th validation batch that it meets."""

    def arrange() -> None:
        from unify.learners import Multitask

        real, met = Multitask.validation_step, iter(range(1, batch))

        def step(self: Any, *arguments: Any) -> None:
            if next(met, None) is None:
                die()
            real(self, *arguments)

        Multitask.validation_step = step  # type: ignore[method-assign]

    return arrange


def in_training(batch: int) -> Strike:
    """Dies in the ``batch``-th micro-batch, which may be in the middle of an optimizer step."""

    def arrange() -> None:
        from unify.learners import Multitask

        real, met = Multitask.training_step, iter(range(1, batch))

        def step(self: Any, *arguments: Any) -> Any:
            if next(met, None) is None:
                die()
            return real(self, *arguments)

        Multitask.training_step = step  # type: ignore[method-assign]

    return arrange


def in_checkpoint(number: int, share: float) -> Strike:
    """Dies while the ``number``-th checkpoint is being written: behind ``share`` of its bytes; from
    1 on before it is renamed."""

    def arrange() -> None:
        from unify import checkpoints

        left = [number, 0]
        whole = [1 << 60]
        write, replace = checkpoints._Hashing.write, checkpoints.os.replace
        save = checkpoints.write

        def counted(checkpoint: Any, path: Path) -> None:
            left[0] -= 1
            if left[0] == 0:
                sink = io.BytesIO()
                import torch

                torch.save(checkpoint, sink)
                whole[0] = len(sink.getvalue())
            save(checkpoint, path)

        def bytewise(self: Any, data: Any) -> int:
            if left[0] == 0:
                size = memoryview(data).nbytes
                if left[1] + size > share * whole[0]:
                    write(self, memoryview(data).cast("B")[: size // 2])
                    die()
                left[1] += size
            return write(self, data)

        def renamed(source: Any, target: Any) -> None:
            if left[0] == 0 and str(target).endswith(".ckpt"):
                die()
            replace(source, target)

        checkpoints.write = counted
        checkpoints._Hashing.write = bytewise  # type: ignore[method-assign]
        checkpoints.os.replace = renamed  # type: ignore[assignment]

    return arrange


def started(config: dict[str, Any], folder: Path, strike: Strike | None = None) -> int:
    """Trains in a process of its own; its exit status, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            from unify.train import train

            signal.alarm(LONGEST)
            if strike is not None:
                strike()
            path = folder.parent / f"{folder.name}.log"
            with path.open("a") as log, redirect_stdout(log), redirect_stderr(log):
                train(config, folder)
            status = 0
        except SystemExit as error:
            status = int(error.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def left(folder: Path) -> dict[str, Any]:
    """What a finished run left that another one's may be compared with, bit for bit."""
    import torch

    from unify import checkpoints

    report = json.loads((folder / "report.json").read_text())
    last = checkpoints.newest(folder / "checkpoints")
    assert last is not None
    state = torch.load(last, weights_only=True)
    return {
        "weights": (folder / "model" / "model.safetensors").read_bytes(),
        "optimizer": repr([
            [k, [(n, v.tolist() if hasattr(v, "tolist") else v) for n, v in s.items()]]
            for k, s in state["optimizer_states"][0]["state"].items()
        ]),
        "losses": report["losses"],
        "validation": report["validation"],
        "metrics": (folder / "logs" / "metrics.csv").read_text(),
        "evaluation": [
            {k: v for k, v in entry.items() if k not in ("seconds", "kept_rows")}
            for entry in report["unseen"].values()
        ],
    }  # fmt: skip


def strikes(count: int, steps: int, every: int, parts: int, seconds: float, seed: int
            ) -> list[tuple[str, Strike]]:
    """``count`` strikes of four kinds in turn, at random moments."""
    rng = random.Random(seed)
    found: list[tuple[str, Strike]] = []
    for i in range(count):
        if i % 4 == 0:
            at = rng.uniform(0.3, 0.97) * seconds
            found.append((f"after {at:.2f} s", in_time(at)))
        elif i % 4 == 1:
            batch = rng.randrange(1, steps * parts + 1)
            found.append((f"in micro-batch {batch} of {steps * parts}", in_training(batch)))
        elif i % 4 == 2:
            batch = rng.randrange(1, 3 * (steps // (every - 2)))
            found.append((f"in validation batch {batch}", in_validation(batch)))
        else:
            number, share = rng.randrange(1, steps // every + 1), rng.choice([0.01, 0.5, 0.99, 1.0])
            where = f"at {share:.0%} of its bytes" if share < 1 else "before its renaming"
            found.append((f"in checkpoint {number}, {where}", in_checkpoint(number, share)))
    return found


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--kills", type=int, default=20)
    ask.add_argument("--steps", type=int, default=120)
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--folder", type=Path, default=Path("runs/kill"))
    asked = ask.parse_args()

    import torch

    import unify.train  # noqa: F401  (everything that a run imports)
    from unify import checkpoints

    torch.set_num_threads(1)
    every = max(4, asked.steps // 12)
    config = config_of(asked.steps, every)
    shutil.rmtree(asked.folder, ignore_errors=True)
    asked.folder.mkdir(parents=True)
    whole = asked.folder / "whole"
    for name in ("first", "whole"):  # the first one fills the caches
        begun = time.monotonic()
        if status := started(config, asked.folder / name):
            print(f"the uninterrupted run ended with {status}", file=sys.stderr)
            return 1
        seconds = time.monotonic() - begun
    expected = left(whole)
    bad = [k for k, v in left(asked.folder / "first").items() if v != expected[k]]
    print(f"uninterrupted: {seconds:.1f} s, {asked.steps} steps, a checkpoint every {every}; "
          f"a second one differs in {', '.join(bad) or 'nothing'}")  # fmt: skip
    print(f"{'killed':<44} {'status':>6} {'from step':>9} {'torn':>4}  differs in")
    wrong = bool(bad)
    for i, (said, strike) in enumerate(
        strikes(asked.kills, asked.steps, every, config["data"]["accumulate"], seconds, asked.seed)
    ):
        folder = asked.folder / str(i)
        status = started(config, folder, strike)
        place = folder / "checkpoints"
        torn = len(list(place.glob(".*.part")))
        step = checkpoints.step_of(checkpoints.newest(place))
        if status == 0:
            status_said = "lived"
        elif started(config, folder):
            print(f"{said:<44} did not go on; see {folder}.log")
            wrong = True
            continue
        else:
            status_said = str(status)
        found = left(folder)
        bad = [k for k, v in found.items() if v != expected[k]]
        wrong = wrong or bool(bad)
        said_bad = ", ".join(bad) or "nothing"
        print(f"{said:<44} {status_said:>6} {step:>9} {torn:>4}  {said_bad}", flush=True)
        if not bad:
            shutil.rmtree(folder)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
