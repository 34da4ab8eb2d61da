"""EFL's contrasts: how texts are altered, what is asked of them, and a run with both."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from unify.cli import main
from unify.learners import efl

WORDS = "one two three four five six seven eight nine ten".split()


class Scripted(random.Random):
    """Draws what it is told."""

    def __init__(self, *drawn: float) -> None:
        super().__init__(0)
        self.drawn = list(drawn)

    def random(self) -> float:
        return self.drawn.pop(0)

    def randrange(self, *limits: int) -> int:  # type: ignore[override]
        return int(self.drawn.pop(0))


def test_words_are_left_out_by_chance() -> None:
    found = efl.without_word(WORDS[:4], Scripted(0.5, 0.05, 0.5, 0.1))
    assert found == ["one", "three", "four"]
    assert efl.without_word(WORDS[:3], Scripted(0.5, 0.5, 0.5, 2)) == ["one", "two"]


def test_a_fifth_is_left_out_as_a_run() -> None:
    assert efl.without_span(WORDS, Scripted(3)) == [*WORDS[:3], *WORDS[5:]]
    assert efl.without_span(WORDS[:4], Scripted(0)) == WORDS[1:4]


def test_two_runs_change_places() -> None:
    found = efl.reordered(WORDS, Scripted(1, 6))
    assert found == "one seven eight four five six two three nine ten".split()


def test_a_text_is_asked_for_itself_altered_and_not_for_another() -> None:
    texts = ["a b c d e", "f g h i j", "k l m n o", "too short"]
    rows = efl.contrasts(texts, 0)
    assert [r["question"] for r in rows] == texts[:3] and rows == efl.contrasts(texts, 0)
    for row in rows:
        altered, other = row["options"]
        assert row["answer"] == 0 and altered != row["question"]
        assert set(altered.split()) <= set(row["question"].split())
        assert other in texts[:3] and other != row["question"]
    assert efl.contrasts(texts[:1], 0) == []


def test_a_run_draws_contrasts_beside_its_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["train", "learner=efl", "task=sample_trade_goods", "shots=4", "trainer.max_steps=4",
           "data=mixture", "data.batch_size=4", "protocol.test=8", "model=tiny_encoder",
           "model.window=96", "trainer.val_check_interval=null", "evaluation.resamples=10",
           "report.examples=0", "trainer.threads=1", "learner.contrast=0.5",
           "learner.texts=40"]  # fmt: skip
    assert main([*few, "name=efl"]) == 0, capsys.readouterr().err
    notes = json.loads((tmp_path / "runs/efl/report.json").read_text())["data_notes"]
    assert any(n.get("task") == "contrast" and "50% of the draws" in str(n) for n in notes)
    assert main([*few, "format=extract", "name=other"]) == 1
    assert "pairs of texts" in capsys.readouterr().err
    assert main([*few, "learner.contrast=1", "name=whole"]) == 1
    assert "contrast < 1" in capsys.readouterr().err
