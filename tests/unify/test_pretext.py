"""Rows that texts make by themselves, and a prompt that is pre-trained on them."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytorch_lightning as pl
from unify_helpers import mood_task, tiny

from formats import FORMATS
from formats.errors import ConfigError
from unify.data import Preparation, TaskFeatures, prepare
from unify.learners import PPT
from unify.tuning import attach, pretext

TEXTS = [
    "A one. B two. C three. D four.", "E five. F six.", "Too short", "One two three, four five",
]  # fmt: skip
PARTED = pretext.passages(TEXTS)


def test_texts_are_parted() -> None:
    assert PARTED == [
        ["A one.", "B two.", "C three.", "D four."], ["E five.", "F six."],
        ["One two three,", "four five"],
    ]  # fmt: skip


def test_pairs_are_what_they_are_called() -> None:
    seen = set()
    for seed in range(40):
        for k, row in enumerate(pretext.pairs(PARTED, seed)):
            parts, a, b = PARTED[k], row["text"], row["text_b"]
            at = parts.index(a)
            seen.add((k, row["label"]))
            if row["label"] == "yes":
                assert parts[at + 1] == b
            elif row["label"] == "maybe":
                assert abs(parts.index(b) - at) > 1
            else:
                assert b not in parts
    assert seen == {(0, "yes"), (0, "maybe"), (0, "no"), (1, "yes"), (1, "no"), (2, "yes"),
                    (2, "no")}  # fmt: skip
    assert list(pretext.pairs(PARTED, 3)) == list(pretext.pairs(PARTED, 3))
    assert {r["label"] for s in range(9) for r in pretext.pairs(PARTED[:1], s)} == {"yes", "maybe"}
    three = [["a", "b", "c"], ["d", "e"]]
    for seed in range(20):
        first = next(iter(pretext.pairs(three, seed)))
        if first["label"] == "maybe":
            assert (first["text"], first["text_b"]) == ("a", "c")


def test_choices_hold_what_follows() -> None:
    for seed in range(10):
        for k, row in enumerate(pretext.choices(PARTED, seed)):
            right = row["options"][row["answer"]]
            assert PARTED[k][PARTED[k].index(row["question"]) + 1] == right
            assert len(set(row["options"])) == len(row["options"]) == 4
            assert all(o not in PARTED[k] for o in row["options"] if o != right)
    assert pretext.cut("w " * 20) == " ".join("w" * 12)
    assert list(pretext.choices(PARTED[:1], 0)) == []


def test_pseudo_labels_are_those_that_are_sure() -> None:
    known = [("good fine", "glad"), ("fine good", "glad"), ("bad poor", "sad"), ("poor bad", "sad")]
    rows = list(pretext.singles(["fine good good", "bad poor", "bad good"], known, 0.7))
    found = [(r["text"], r["label"]) for r in rows]
    assert found == [("fine good good", "glad"), ("bad poor", "sad")]
    assert list(pretext.singles(["bad"], known[:2])) == []


def test_all_kinds_as_one() -> None:
    row = {"text": "a", "text_b": "b", "label": "maybe"}
    assert pretext.unified(row, pretext.RELATIONS) == {
        "question": "a / b", "options": ["yes", "maybe", "no"], "answer": 1,
    }  # fmt: skip


@pytest.mark.parametrize("unified", [False, True])
def test_the_first_steps_are_on_pretext_rows(unified: bool, tmp_path: Path) -> None:
    backbone = tiny("bert", "generate", max_target=40)
    attach(backbone, {"name": "prompt", "length": 2})
    task = mood_task(tmp_path)
    format = FORMATS["generate"]()
    p = Preparation(format, backbone.coder, "data", train=True)
    train = [TaskFeatures(task.name, prepare(task, p))]
    learner = PPT(backbone, steps=3, unified=unified, confident=0.1)
    module = learner.data([task], train, {task.name: 1.0}, format, batch_size=4, bucket=2, seed=1)
    assert set(learner.made) == {"pretext_pair", "pretext_choice", "pretext_single"}
    own = [t.name for t in module.train].index(task.name)  # type: ignore[attr-defined]
    stream = iter(module.steps(lambda: 0, 0, 1))  # type: ignore[attr-defined]
    met = [set(next(stream).tasks.tolist()) for _ in range(8)]
    assert own not in set().union(*met[:3]) and all(m == {own} for m in met[3:])
    assert "pretext_pair: " in str(learner.notes())


def test_pre_training_leaves_steps_for_the_tasks() -> None:
    learner = PPT(tiny("bert", "generate"), steps=3)
    for most in (3, 4):
        learner.trainer = pl.Trainer(max_steps=most, accelerator="cpu", logger=False)
        if most == 4:
            learner.on_fit_start()
            continue
        with pytest.raises(ConfigError, match="no step for the tasks"):
            learner.on_fit_start()


def test_no_texts_no_pre_training(tmp_path: Path) -> None:
    backbone = tiny("bert", "generate")
    with pytest.raises(ConfigError, match="no pre-training"):
        PPT(backbone, kinds=["pairs"])
