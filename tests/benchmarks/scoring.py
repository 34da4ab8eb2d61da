"""Scoring options with shared prefixes against lm-evaluation-harness, and against arithmetic.

Both run as whole processes, one after the other, on the same model folder and the same rows: the
peer (``lm_eval``, hf backend) with the batch size that was fastest on a few rows. Bars: equal
log-likelihoods (1e-4); 30 times less wall time for the whole process and 40 times for tokenizing
and scoring at 16 shots, 2.5 and 3.5 times at 0 shots, 60 times with a vocabulary of 50k, 3 times
with demonstrations retrieved per row; no more memory than the peer at the same batch of rows; and
at most twice the time that the arithmetic takes on a model of 100M parameters.

The peer lives in an environment of its own: ``--peer PYTHON`` names its interpreter, otherwise one
is made in ``--folder`` on top of this one's packages (same torch, same transformers).

``--part shots16 --rows 40`` measures one part on few rows; ``--part arithmetic --device gpu --dtype
bfloat16 --width 2048 --layers 20 --rows 20000`` a model of 1B parameters on a GPU (no bar).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _scoring_data as data
from _bench import finish, parser, table

HERE = Path(__file__).parent
PEER = "lm_eval==0.4.13"
TRIED = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Part:
    """One comparison: its rows, its model, and how many times faster ours must be."""

    shots: int
    bar_process: float | None
    bar_scoring: float
    retrieved: bool = False
    vocabulary: int = 4000
    batches: tuple[int, ...] = TRIED
    turns: int = 1  # of both, one after the other; the figures are medians


PARTS = {
    "shots16": Part(16, 30, 40),
    "shots0": Part(0, 2.5, 3.5, batches=(*TRIED, 64), turns=3),  # seconds each
    "vocabulary50k": Part(16, None, 60, vocabulary=50_257, batches=TRIED[:4]),
    "retrieved": Part(16, None, 3, retrieved=True),
}
WIDTH, LAYERS = 384, 6  # 11M parameters beside the words'; --width and --layers change it
LARGE = (768, 12)  # of arithmetic: 100M parameters


def peer(folder: Path, given: Path | None) -> Path:
    """The interpreter of an environment that has lm_eval besides this one's packages."""
    if given is not None:
        return given
    place = folder / "peer"
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        inner = place / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
        ours = sysconfig.get_paths()["purelib"] + "\n"
        (inner / "site-packages" / "ours.pth").write_text(ours, encoding="utf-8")
        install = ["-m", "pip", "install", "-q", PEER, "accelerate", "peft"]
        subprocess.run([str(python), *install], check=True)
    return python


def process(python: str | Path, script: str, *arguments: object) -> dict[str, Any]:
    """Runs one process to its end; its own figures, with its wall time and processor time."""
    import json
    import resource

    out = Path(str(arguments[2]))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(
        [str(python), str(HERE / script), *map(str, arguments)],
        check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**json.loads(out.read_text(encoding="utf-8")), "process": wall, "processor": used}


def middle(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians of what several processes measured; what is no number is the last one's."""
    last = {k: v for k, v in found[-1].items() if k != "logprobs"}
    return {k: statistics.median(f[k] for f in found) if isinstance(v, float) else v
            for k, v in last.items()}  # fmt: skip


def best_batch(python: Path, model: Path, rows: Path, part: Part, work: Path) -> int:
    """The peer's batch size that was fastest on a few rows; sizes are tried until it slows."""
    few = work / "few.jsonl"
    data.write(few, data.read(rows)[: 40 if part.shots == 0 else 8])
    sizes = [part.batches[0], *part.batches]  # the first warms up
    tried = process(python, "_scoring_peer.py", model, few, work / "tried.json", *sizes)["tried"]
    print(f"  peer's batch sizes tried (s): { {k: round(v, 1) for k, v in tried.items()} }")
    return int(min(tried, key=tried.__getitem__))


def built(work: Path, size: tuple[int, int], vocabulary: int) -> Path:
    """The folder of a model of this (width, layers), made if it is not there."""
    folder = work / f"model-{size[0]}x{size[1]}-{vocabulary}"
    if not folder.exists():
        data.model(folder, width=size[0], layers=size[1], vocabulary=vocabulary)
    return folder


def compare(
    name: str, part: Part, rows: int, python: Path, work: Path, size: tuple[int, int]
) -> tuple[Any, list[str]]:
    """Runs ours and the peer on one part; figures, and the bars that were missed."""
    model = built(work, size, part.vocabulary)
    path = work / f"{name}.jsonl"
    data.write(path, data.rows(rows, part.shots, retrieved=part.retrieved))
    print(f"{name}: {rows} rows x 4 options")
    batch = best_batch(python, model, path, part, work)
    turns = []
    for _ in range(part.turns):
        ours = process(sys.executable, "_scoring_ours.py", model, path, work / "ours.json")
        theirs = process(python, "_scoring_peer.py", model, path, work / "peer.json", batch)
        turns.append((ours, theirs))
    mine, other = ours["logprobs"], theirs["logprobs"]
    apart = max(abs(a - b) for a, b in zip(mine, other, strict=True))
    ours, theirs = (middle([turn[side] for turn in turns]) for side in (0, 1))
    process_times = theirs["process"] / ours["process"]
    scoring_times = theirs["seconds"] / ours["seconds"]
    spread = [turn[1]["seconds"] / turn[0]["seconds"] for turn in turns]
    print(
        table(
            ["", "process s", "tokenize+score s", "processor s", "peak MB", "above loaded MB"],
            [
                [who, f"{f['process']:.1f}", f"{f['seconds']:.1f}", f"{f['processor']:.1f}",
                 f"{f['peak_kb'] / 1024:.0f}", f"{(f['peak_kb'] - f['loaded_kb']) / 1024:.0f}"]
                for who, f in (("ours", ours), (f"lm_eval, batch {batch}", theirs))
            ],
        )
    )  # fmt: skip
    print(
        f"  times faster: process {process_times:.2f}, tokenize+score {scoring_times:.2f} "
        f"(turns {', '.join(f'{times:.2f}' for times in spread)}), "
        f"processor {theirs['processor'] / ours['processor']:.1f}; "
        f"log-likelihoods within {apart:.1e}; path {ours['path']}\n"
    )
    missed = []
    if apart > 1e-4:
        missed.append(f"{name}: log-likelihoods differ by {apart:.1e}")
    if ours["path"] != "shared":
        missed.append(f"{name}: {ours['why']}")
    for what, bar, got in (
        ("the process", part.bar_process, process_times),
        ("tokenizing and scoring", part.bar_scoring, scoring_times),
    ):
        if bar is not None and got < bar:
            missed.append(f"{name}: {what} {got:.2f} times faster, bar {bar:g}")
    figures = {"rows": rows, "batch": batch, "ours": ours, "peer": theirs, "apart": apart,
               "times_process": process_times, "times_scoring": scoring_times}  # fmt: skip
    return figures, missed


def memory(rows: int, python: Path, work: Path, size: tuple[int, int]) -> tuple[Any, list[str]]:
    """Peak memory above the loaded model's, both with eight rows (32 requests) at a time."""
    part = PARTS["shots16"]
    model = built(work, size, part.vocabulary)
    path = work / "memory.jsonl"
    data.write(path, data.rows(max(8, rows // 10), part.shots))
    ours = process(sys.executable, "_scoring_ours.py", model, path, work / "ours.json", 8 * 65)
    theirs = process(python, "_scoring_peer.py", model, path, work / "peer.json", 32)
    above = [(f["peak_kb"] - f["loaded_kb"]) / 1024 for f in (ours, theirs)]
    print(
        f"memory, eight rows at a time: ours {above[0]:.0f} MB above the loaded model "
        f"(peak {ours['peak_kb'] / 1024:.0f}), lm_eval {above[1]:.0f} MB "
        f"(peak {theirs['peak_kb'] / 1024:.0f})\n"
    )
    missed = [] if above[0] <= above[1] else [f"memory: {above[0]:.0f} MB, peer {above[1]:.0f}"]
    return {"ours_mb": above[0], "peer_mb": above[1]}, missed


def arithmetic(
    rows: int, size: tuple[int, int], device: str, dtype: str
) -> tuple[Any, list[str]]:
    """Time over (operations that must be done / measured matmul rate)."""
    import torch

    from formats.layout import Coder, probe_layout
    from unify.devices import device_of
    from unify.scoring import Engine, Request
    from unify.scoring._memory import keep_freed
    from unify.scoring.load import in_one_kernel

    keep_freed()
    place = device_of(device)
    # Half precision rounds the large states of wide random weights by whole nats.
    model, tokenizer = data.built(*size, 16_384, device=str(place), dtype=dtype,
                                  spread=2.0 if dtype == "float32" else 1.0)  # fmt: skip
    engine = Engine(in_one_kernel(model), Coder(tokenizer, probe_layout(tokenizer, "causal", 1280)))
    if engine.path != "shared":
        return {}, [f"arithmetic: {engine.why}"]
    listed = data.rows(rows, 16)
    asked = [Request(r["context"], o) for r in listed for o in r["options"]]
    begun = time.perf_counter()
    coded = engine.encode(asked)
    tokenizing = time.perf_counter() - begun
    engine.score_coded(coded[: len(coded) // 4])
    ratios, speeds = [], []
    for _ in range(3):
        rate = _rate(place, model.dtype)
        before = engine.work.flops(engine.model)
        begun = time.perf_counter()
        engine.score_coded(coded)
        took = time.perf_counter() - begun
        again = _rate(place, model.dtype)
        needed = (engine.work.flops(engine.model) - before) / ((rate + again) / 2)
        ratios.append(took / needed)
        speeds.append(len(listed) / took)
        print(
            f"arithmetic: {len(listed)} rows, {took:.2f} s for {needed:.2f} s of matmul at "
            f"{(rate + again) / 2e9:.0f} GFLOP/s: {ratios[-1]:.2f}; {speeds[-1]:.0f} rows/s, "
            f"{len(listed) / (took + tokenizing):.0f} with tokenizing"
        )
    middle = sorted(ratios)[1]
    parameters = sum(p.numel() for p in engine.model.parameters())
    named = torch.cuda.get_device_name(place) if place.type == "cuda" else ""
    print(
        f"  {parameters / 1e6:.0f}M parameters, {dtype}, {named or place}, path {engine.path}, "
        f"{torch.get_num_threads()} threads, share of the matmul rate {1 / middle:.0%}\n"
    )
    missed = [] if engine.path == "shared" else [f"arithmetic: {engine.why}"]
    if place.type == "cpu" and middle > 2:
        missed.append(f"arithmetic: {middle:.2f} times the arithmetic, bar 2")
    return {"ratios": ratios, "parameters": parameters, "rows_per_second": speeds}, missed


def _rate(place: Any, dtype: Any) -> float:
    """Operations per second of a large matrix product, as fast as it goes there."""
    import torch

    side = 1536 if place.type == "cpu" else 8192
    a = torch.randn(side, side, device=place, dtype=dtype)

    def once() -> float:
        begun = time.perf_counter()
        a @ a
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        return time.perf_counter() - begun

    once()
    return 2 * side**3 / min(once() for _ in range(4))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=500)
    known = [*PARTS, "memory", "arithmetic"]
    arguments.add_argument("--part", nargs="*", choices=known, default=known)
    arguments.add_argument("--width", type=int, help=f"{WIDTH}, of arithmetic {LARGE[0]}")
    arguments.add_argument("--layers", type=int, help=f"{LAYERS}, of arithmetic {LARGE[1]}")
    arguments.add_argument("--device", default="cpu", help="of arithmetic")
    arguments.add_argument("--dtype", default="float32", help="of arithmetic")
    arguments.add_argument("--peer", type=Path, help="an interpreter that has lm_eval")
    arguments.add_argument("--folder", type=Path, help="keeps models and the peer's environment")
    args = arguments.parse_args()
    size = (args.width or WIDTH, args.layers or LAYERS)
    figures: dict[str, Any] = {"width": size[0], "layers": size[1]}
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        work = args.folder or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        # Not resolved: an environment's interpreter is a link whose place decides.
        python = Path() if args.part == ["arithmetic"] else peer(work, args.peer)
        for name in args.part:
            if name == "arithmetic":
                large = (args.width or LARGE[0], args.layers or LARGE[1])
                found = arithmetic(max(10, args.rows // 10), large, args.device, args.dtype)
            elif name == "memory":
                found = memory(args.rows, python, work, size)
            else:
                found = compare(name, PARTS[name], args.rows, python, work, size)
            figures[name] = found[0]
            missed += found[1]
    finish("scoring", figures, missed, args.json)


if __name__ == "__main__":
    main()
