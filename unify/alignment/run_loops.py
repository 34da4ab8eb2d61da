"""STaR and critique-and-revise over a task's rows, with the model that makes the data trained on
it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks import catalogue
from unify.reasoning import Chain, Demo, EngineLM, Layout, question

from .loops import Principle, critique_and_revise, star
from .policy import pair
from .run import Ground, Outcome, measured, save_model
from .sft import fine_tune


def run_star(ground: Ground) -> Outcome:
    """Rounds of STaR; the share of held-out questions answered rightly after each."""
    settings = ground.settings
    task = catalogue.load(settings["questions"])
    asked = [question(e, task) for e in task.examples("train", settings["asked"])]
    held = [question(e, task) for e in task.examples("test", settings["held_out"])]
    layout = Layout()
    shown = tuple(Demo(**{k: str(v) for k, v in d.items()}) for d in settings["worked"])
    chain = Chain(shown, layout, replace(ground.writing, temperature=0.0))
    outcome = Outcome([], across="round")
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

    try:
        _, told = star(
            EngineLM(trained[0]), asked, chain, train, settings["rounds"], settings["hints"]
        )
    finally:
        scores = [_share(EngineLM(e), held, chain) for e in trained]
    for number, score in enumerate(scores):
        row = {"arm": f"after {number} rounds", "held_out_right": score}
        if number:
            found = told[number - 1]
            row |= {"right": found.right, "hinted": found.hinted, "asked": found.asked}
        outcome.table.append(row)
    outcome.lines["held-out questions right"] = {"STaR": scores}
    save_model(trained[-1], ground.folder / "model")
    return outcome


def _share(lm: EngineLM, held: Sequence, chain: Chain) -> float:  # type: ignore[type-arg]
    from tasks.metrics import metric

    scorer = metric("numeric_em") if held and held[0].kind == "number" else metric("exact_match")
    found = chain(lm, held, range(len(held)))
    right = [
        scorer.score(q.example, o.answer)  # type: ignore[attr-defined]
        for q, o in zip(held, found, strict=True)
    ]
    return float(sum(right) / len(right))


def run_constitutional(ground: Ground) -> Outcome:
    """Replies critiqued and revised by each principle; the model is tuned on the revisions."""
    outcome = Outcome([], across="step")
    measured(ground, ground.engine, "supervised", None, outcome)
    principles = [Principle(**p) for p in ground.settings["principles"]]
    some = ground.train[: ground.settings["ranked_rows"]]
    found = critique_and_revise(
        EngineLM(ground.engine), [r.prompt for r in some], principles, ground.writing
    )
    changed = sum(f.final != f.first for f in found)
    kept = [(r, f) for r, f in zip(some, found, strict=True) if f.final]
    outcome.table.append({"arm": "revised", "kept": len(kept), "changed": changed})
    if kept:
        engine = ground.fresh()
        pairs = [pair(engine, r.prompt, f.final) for r, f in kept]
        told = fine_tune(engine, pairs, ground.steps("steps"), ground.seed)
        outcome.lines["loss on revisions"] = {"tuned": told}
        measured(ground, engine, "tuned on revisions", None, outcome)
        save_model(engine, ground.folder / "model")
    return outcome
