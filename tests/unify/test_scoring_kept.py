"""Kept scores: nothing twice, nothing of another model, and a killed run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import tiny

from formats.errors import RunError
from unify.scoring import Engine, Request
from unify.scoring.kept import Kept, fingerprint

OPTIONS = (" no", " Bob")
ASKED = [Request(f"Ann keeps {n} boats. Who keeps dogs?", o) for n in range(6) for o in OPTIONS]


def engine(seed: int = 0, **more: Any) -> Engine:
    backbone: Any = tiny("llama", "generate", seed=seed)
    return Engine(backbone.model, backbone.coder, **more)


def test_the_second_time_nothing_is_computed(tmp_path: Path) -> None:
    first = Kept(engine(), tmp_path)
    scores = first.score([*ASKED, ASKED[0]])
    assert (first.computed, first.found) == (12, 0)
    assert scores == [*engine().score(ASKED), scores[0]]
    second = Kept(engine(), tmp_path)
    second.engine.score_coded = None  # type: ignore[assignment,method-assign]
    assert second.score(ASKED[::-1]) == scores[11::-1]
    assert (second.computed, second.found) == (0, 12)


def test_another_model_or_end_is_another_score(tmp_path: Path) -> None:
    base = Kept(engine(), tmp_path)
    base.score(ASKED)
    for other in (engine(seed=1), engine(end=True)):
        kept = Kept(other, tmp_path)
        assert kept.score(ASKED) == other.score(ASKED)
        assert kept.computed == 12


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    whole = Kept(engine(), tmp_path / "whole").score(ASKED)
    killed = Kept(engine(), tmp_path, block=4)
    real, calls = killed.engine.score_coded, []

    def dies(coded: Any) -> Any:
        calls.append(len(coded))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(coded)

    killed.engine.score_coded = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        killed.score(ASKED)
    with killed.path.open("a") as sink:
        sink.write('["half a li')
    again = Kept(engine(), tmp_path, block=4)
    assert again.torn == 1
    found = again.score(ASKED)
    assert (again.computed, again.found) == (4, 8)
    assert [s.logprob for s in found] == pytest.approx([s.logprob for s in whole], abs=1e-4)
    assert Kept(engine(), tmp_path).torn == 0


def test_a_file_torn_in_its_middle_is_refused(tmp_path: Path) -> None:
    kept = Kept(engine(), tmp_path)
    kept.score(ASKED)
    lines = kept.path.read_text().splitlines(keepends=True)
    kept.path.write_text("".join([lines[0], "[1,\n", *lines[1:]]))
    with pytest.raises(RunError, match="torn line"):
        Kept(engine(), tmp_path)


def test_a_weight_changes_the_fingerprint() -> None:
    model = engine().model
    before = fingerprint(model)
    assert before == fingerprint(engine().model)
    with torch.no_grad():
        next(model.parameters()).flatten()[0] += 1e-3
    assert fingerprint(model) != before
    assert fingerprint(model.to(torch.bfloat16)) != before
