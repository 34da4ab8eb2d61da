"""What every method of `unify reason`, `induce` and `align` scores, on small models made here.

Each line of the tables is a run of its own by the command line, under runs/reasoning/. What is
finished is not repeated, so that a script that was stopped goes on. `--parts` chooses: `sums`
(invented sums, a model that knows the prompts of all methods), `half` (a model that is right about
half of the time: voting and STaR), `real` (published rows), `induce` (APE and Self-Instruct),
`align` (courteous replies). `real` and `induce` need the environment variable UNIFY_DATA.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _bench import finish, parser, table

from unify.cli import main as unify
from unify.commands._method import show
from unify.report.numbers import cell

HOME = "reasoning"
MODELS = {
    "prompts": ["experiment=sums_prompts"],
    "half": ["experiment=sums_worked", "trainer.max_steps=400"],
    "fewer": ["experiment=sums_worked", "trainer.max_steps=350"],
    "instructions": ["experiment=instructions"],
    "replies": ["experiment=replies"],
    "judged": ["experiment=replies_judged"],
}
SHOWN = ("direct", "cot", "self_consistency", "complex_cot", "auto_cot")
BARE = ("zero_shot_cot", "least_to_most", "self_ask")
REAL = (
    "gsm8k_answer", "svamp", "multiarith", "strategyqa", "commonsenseqa", "logiqa",
    "induce_larger_animal", "induce_cause_and_effect",
)  # fmt: skip
INDUCED = (
    "first_word_letter", "second_word_letter", "singular_to_plural", "sum", "diff", "letters_list",
    "antonyms", "num_to_verbal",
)  # fmt: skip
WRITTEN = {"reason": "report.json", "induce": "table.json", "align": "align.json"}
Run = tuple[str, str, str, list[str]]  # verb, name, model, settings


def parts(rows: int) -> dict[str, list[Run]]:
    """The runs of each part; ``rows`` of each task of ``real``."""
    sums = ["task=sums", "rows=100"]
    told = [*sums, "reasoning.demos=2", "writing.tokens=192"]
    asked = [*sums, "reasoning.demos=0", "writing.tokens=192"]
    real = [f"task=[{','.join(REAL)}]", f"rows={rows}", "reasoning.demos=2", "writing.tokens=96"]
    half = [*sums, "reasoning.demos=0", "writing.tokens=112"]
    induced = f"task=[{','.join(f'induce_{name}' for name in INDUCED)}]"
    seeds = Path(os.environ.get("UNIFY_DATA", "")) / "selfinstruct_seed_tasks" / "seed_tasks.jsonl"
    return {
        "sums": [
            *(("reason", f"sums_{m}", "prompts", [f"method={m}", *told]) for m in SHOWN),
            *(("reason", f"sums_{m}", "prompts", [f"method={m}", *asked]) for m in BARE),
        ],
        "half": [
            *(("reason", f"half_{m}", "half", [f"method={m}", *half])
              for m in ("cot", "self_consistency")),
            ("align", "star", "fewer", ["method=star"]),
        ],
        "real": [("reason", f"real_{m}", "prompts", [f"method={m}", *real])
                 for m in (*SHOWN, *BARE)],
        "induce": [
            ("induce", "ape", "instructions", ["method=ape", induced, "rows=40"]),
            ("induce", "self_instruct", "instructions", ["method=self_instruct", f"seeds={seeds}"]),
        ],
        "align": [
            *(("align", m, "replies", [f"method={m}"])
              for m in ("reward", "best_of_n", "filter", "ppo", "ppo_ptx", "dpo")),
            ("align", "constitutional", "judged", ["method=constitutional"]),
            ("align", "constitutional_unprepared", "replies", ["method=constitutional"]),
        ],
    }  # fmt: skip


def done(verb: str, name: str, settings: list[str]) -> bool:
    """Runs one command, unless its folder is finished; what it prints goes to stderr."""
    if (Path("runs") / HOME / name / WRITTEN.get(verb, "report.json")).exists():
        return True
    begun = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        failed = unify([verb, f"name={HOME}/{name}", *settings])
    print(f"{verb} {name}: {'failed' if failed else f'{time.perf_counter() - begun:.0f} s'}",
          flush=True)  # fmt: skip
    return not failed


def results(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A run's tasks with what the report holds of each."""
    report = json.loads((Path("runs") / HOME / name / "report.json").read_text("utf-8"))
    yield from report["unseen"].items()


def reasoned(names: list[str]) -> str:
    """Methods by tasks: 100 times the score with half of its 95 % interval; trivial last."""
    found = {name: dict(results(name)) for name in names}
    tasks = list(dict.fromkeys(t for rows in found.values() for t in rows))
    lines = [
        [name.partition("_")[2],
         *(f"{100 * r['value']:.1f} ± {50 * (r['high'] - r['low']):.1f}" if (r := rows.get(t))
           else "-" for t in tasks)]
        for name, rows in found.items()
    ]  # fmt: skip
    best = {t: max(max(r[t]["baselines"].values()) for r in found.values() if t in r)
            for t in tasks}  # fmt: skip
    lines.append(["best trivial method", *(f"{100 * best[t]:.1f}" for t in tasks)])
    return table(["method", *tasks], lines)


def main() -> None:
    ask = parser(__doc__)
    ask.add_argument("--parts", nargs="+", default=list(parts(0)), choices=list(parts(0)))
    ask.add_argument("--rows", type=int, default=20, help="of each task of published rows")
    given = ask.parse_args()
    figures: dict[str, Any] = {}
    missed: list[str] = []
    for part in given.parts:
        runs = parts(given.rows)[part]
        for model in dict.fromkeys(model for _, _, model, _ in runs):
            done("train", model, MODELS[model])
        kept = [
            (verb, name)
            for verb, name, model, settings in runs
            if done(verb, name, [f"run=runs/{HOME}/{model}", *settings])
        ]
        missed += [f"{part}: {name} failed" for _, name, *_ in runs
                   if name not in [n for _, n in kept]]  # fmt: skip
        print(f"\n{part}")
        asked = [name for verb, name in kept if verb == "reason"]
        if asked:
            print(reasoned(asked))
        for verb, name in kept:
            if verb == "reason":
                figures[name] = {t: r["value"] for t, r in results(name)}
                continue
            made = json.loads((Path("runs") / HOME / name / WRITTEN[verb]).read_text("utf-8"))
            rows = made["table"] if verb == "align" else made
            figures[name] = rows
            print(f"\n{name}")
            show(rows)
            for what, value in made["facts"].items() if verb == "align" else ():
                print(f"{what}: {cell(value)}")
    finish("reasoning", figures, missed, given.json, note="every run ended")


if __name__ == "__main__":
    main()
