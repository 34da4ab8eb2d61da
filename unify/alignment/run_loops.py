"""STaR and critique-and-revise over a task's rows, with the model that makes the data trained on
it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from ..files import write_whole
from ..kept import digest
from ..reasoning import LM, Chain, Demo, EngineLM, Layout, Question, question
from ..report.data import save_json
from .ground import Ground, Outcome, mean, measured, save_model
from .loops import Principle, Round, critique_and_revise, right, star
from .policy import pair
from .sft import fine_tune

ROUNDS = (
    "held out right: the share of test questions answered rightly after so many rounds; right and "
    "hinted: training questions whose steps led to the answer, unaided and with it as a hint."
)


def run_star(ground: Ground) -> Outcome:
    """Rounds of STaR; the share of held-out questions answered rightly after each."""
    settings, task = ground.settings, ground.task
    asked = [question(e, task) for e in task.examples("train", ground.rows, on_bad_row="skip")]
    held = [question(e, task) for e in task.examples("test", ground.test_rows, on_bad_row="skip")]
    layout = Layout()
    shown = tuple(Demo(**{k: str(v) for k, v in d.items()}) for d in settings["worked"])
    chain = Chain(shown, layout, replace(ground.writing, temperature=0.0))
    outcome = Outcome(across="round", meaning=ROUNDS)
    steps = ground.steps("steps")
    trained = [ground.fresh()]

    def train(demos: Sequence[Demo]) -> EngineLM:
        """From the beginning each time, so that mistakes of a round do not pile up."""
        engine = ground.fresh()
        pairs = [
            pair(engine, layout.ask(d.question), layout.show(d)[len(layout.ask(d.question)) + 1 :])
            for d in demos
        ]
        fine_tune(engine, pairs, steps, ground.seed)
        trained.append(engine)
        return EngineLM(engine)

    done, keep = rounds_done(ground, settings["rounds"]), partial(keep_round, ground)
    first = EngineLM(trained[0])
    _, told = star(first, asked, chain, train, settings["rounds"], settings["hints"], done, keep)
    scores = [_share(EngineLM(e), held, chain) for e in trained]
    for number, found in enumerate(told, 1):
        kept = [asdict(d) for d in found.kept]
        save_json(kept, ground.folder / f"rationales_{number}.json")
    for number, score in enumerate(scores):
        row = {"arm": f"after {number} rounds", "held_out_right": score}
        if number:
            found = told[number - 1]
            row |= {"right": found.right, "hinted": found.hinted, "asked": found.asked}
        outcome.table.append(row)
    outcome.at = tuple(range(len(scores)))
    outcome.add("held-out questions right", "STaR", scores)
    save_model(trained[-1], ground.folder / "model")
    return outcome


def _round_file(ground: Ground, number: int) -> Path:
    return ground.folder / "rounds" / f"{digest(ground.about, number)}.json"


def keep_round(ground: Ground, found: Round) -> None:
    path = _round_file(ground, found.number)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(asdict(found)))


def rounds_done(ground: Ground, most: int) -> list[Round]:
    """The rounds that an earlier run of the same folder ended, from the first one on."""
    found: list[Round] = []
    while len(found) < most and (path := _round_file(ground, len(found))).exists():
        told = json.loads(path.read_text(encoding="utf-8"))
        kept = tuple(Demo(**demo) for demo in told.pop("kept"))
        found.append(Round(**told, kept=kept))
    return found


def _share(lm: LM, held: Sequence[Question], chain: Chain) -> float:
    """The share of questions answered rightly."""
    found = chain(lm, held, range(len(held)))
    return mean(float(right(q, o.answer)) for q, o in zip(held, found, strict=True))


def run_constitutional(ground: Ground) -> Outcome:
    """Replies critiqued and revised by each principle; the model is tuned on the revisions."""
    outcome = Outcome(across="step")
    measured(ground, ground.engine, "supervised", None, outcome)
    principles = [Principle(**p) for p in ground.settings["principles"]]
    some = ground.train[: ground.settings["ranked_rows"]]
    found = critique_and_revise(
        EngineLM(ground.engine), [r.prompt for r in some], principles, ground.writing
    )
    changed = sum(f.final != f.first for f in found)
    kept = [(r, f) for r, f in zip(some, found, strict=True) if f.final]
    outcome.facts |= {"replies revised": len(kept), "of them changed": changed}
    if kept:
        engine = ground.fresh()
        pairs = [pair(engine, r.prompt, f.final) for r, f in kept]
        told = fine_tune(engine, pairs, ground.steps("steps"), ground.seed)
        outcome.add("loss on revisions", "tuned", told)
        measured(ground, engine, "tuned on revisions", None, outcome)
        save_model(engine, ground.folder / "model")
    return outcome
