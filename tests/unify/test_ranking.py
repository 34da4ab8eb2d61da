"""Rules and calibrations of `unify evaluate`, against sums worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from unify_helpers import DEVICE, mood_task, tiny

from formats import Entail, Generate
from formats.errors import ConfigError
from formats.examples import LabelSpace, RelationClassification, Span, TextClassification
from formats.prompts import default_prompt
from tasks import catalogue
from unify import evaluation
from unify.backbones import Backbone
from unify.cli import main
from unify.data import Preparation
from unify.data.free import without_input
from unify.evaluation import Evaluation, evaluate_task
from unify.ranking import Ranking
from unify.scoring.calibrate import in_quantiles
from unify.suite_data import features

TASK, ROWS = "sample_sea_state", 3
SMALL = [f"suite.unseen=[{TASK}]", f"suite.limits.test={ROWS}", "evaluation.resamples=5",
         "suite.limits.train=30", "name=mine", "model.window=230"]  # fmt: skip
WIDE = {"max_position_embeddings": 240}

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("ranked")
    for name in ("llama", "t5", "bert"):
        backbone = loaded(name)
        backbone.model.save_pretrained(place / name)
        backbone.coder.tokenizer.save_pretrained(place / name)
    return {p.name: p for p in place.iterdir()}


def loaded(name: str) -> Backbone:
    return tiny(name, "generate", window=230, config=WIDE if name != "t5" else None, spread=2.0)


@pytest.fixture
def run(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    monkeypatch.chdir(tmp_path)

    def ask(name: str, *more: str) -> list[dict[str, Any]]:
        given = ["evaluate", "model=hf", f"model.name={models[name]}", *SMALL]
        status = main([*given, *(f"evaluation.{m}" for m in more)])
        if status:
            raise ConfigError(capsys.readouterr().err)
        places = (tmp_path / "runs" / "mine" / "predictions").rglob(f"{TASK}.jsonl")
        path = max(places, key=lambda p: (p.parent.name != "uncalibrated", p.stat().st_mtime_ns))
        return list(map(json.loads, path.read_text().splitlines()))

    return ask


def by_hand(backbone: Backbone, text: str | None = None) -> list[tuple[list[list[float]], Any]]:
    """Per row: each option's log-probability per token (the end sign's included), and its words;
    ``text`` in place of what the row says."""
    task, out = catalogue.load(TASK), []
    for example in task.examples("test", limit=ROWS):
        (asked,) = Generate().encode(example, task.prompt)
        source = asked.source
        if text is not None:
            source = source.replace(example.text, text).replace(str(example.text_b), text)
        (ids,) = backbone.coder.ids([source])
        context = [*backbone.layout.single_before, *ids]
        found = []
        for option in backbone.coder.ids([" " + o for o in asked.options]):
            target = [*option, backbone.layout.eos]
            with torch.no_grad():
                logits = backbone.model(
                    torch.tensor([[*context, *target]], device=DEVICE)
                ).logits[0]
            logs = logits.log_softmax(-1)[len(context) - 1 : -1]
            found.append([float(line[t]) for line, t in zip(logs, target, strict=True)])
        out.append((found, asked.options))
    return out


def normed(values: Sequence[float]) -> np.ndarray:
    table = np.exp(np.array(values) - max(values))
    return table / table.sum()


def test_rules_of_a_causal_model(run: Run) -> None:
    backbone = loaded("llama")
    rows, empty = by_hand(backbone), by_hand(backbone, "")
    (tokens, words), free = rows[0], empty[0][0]
    expected = {
        "sum": [sum(t) for t in tokens],
        "token": [sum(t) / len(t) for t in tokens],
        "byte": [sum(t) / len(w.encode()) for t, w in zip(tokens, words, strict=True)],
        "pmi": [sum(t) - sum(f) for t, f in zip(tokens, free, strict=True)],
    }
    for rule, values in expected.items():
        first = run("llama", f"rule={rule}")[0]
        assert first["scores"] == pytest.approx(values, abs=2e-4), rule
        assert first["answer"] == words[int(np.argmax(values))]
    first = run("llama", "rule=sum", "end=false")[0]
    assert first["scores"] == pytest.approx([sum(t[:-1]) for t in tokens], abs=2e-4)
    assert run("llama")[0]["scores"] == pytest.approx(expected["token"], abs=2e-4)


def test_the_perplexity_of_a_statement(run: Run) -> None:
    backbone = loaded("llama")
    first = run("llama", "rule=perplexity")[0]
    task = catalogue.load(TASK)
    (asked,) = Generate().encode(next(task.examples("test")), task.prompt)
    coder, layout = backbone.coder, backbone.layout
    begin = list(layout.single_before) or [layout.bos if layout.bos is not None else layout.eos]
    (context,) = coder.ids([asked.source])
    for option, value in zip(asked.options, first["scores"], strict=True):
        ids = [*begin, *context, *coder.ids([" " + option])[0], layout.eos]
        with torch.no_grad():
            read = torch.tensor([ids], device=DEVICE)
            loss = backbone.model(read, labels=read).loss
        assert value == pytest.approx(-float(loss), abs=1e-4)  # minus log perplexity


def test_calibrations(run: Run) -> None:
    backbone = loaded("llama")
    rows = [[sum(t) for t in tokens] for tokens, _ in by_hand(backbone)]
    free = [[[sum(t) for t in tokens] for tokens, _ in by_hand(backbone, text)]
            for text in ("N/A", "[MASK]", "")]  # fmt: skip
    found = run("llama", "rule=sum", "calibrate=contextual")
    for i, row in enumerate(found):
        prior = np.mean([normed(f[i]) for f in free], 0)
        expected = normed(rows[i]) / prior
        assert np.exp(row["scores"]) == pytest.approx(expected / expected.sum(), rel=2e-3)

    found = run("llama", "rule=sum", "calibrate=batch")
    table = np.array([normed(r) for r in rows])
    expected = table / table.mean(0)
    expected /= expected.sum(1, keepdims=True)
    assert np.exp([r["scores"] for r in found]) == pytest.approx(expected, rel=2e-3)
    words = by_hand(backbone)[0][1]
    assert [r["answer"] for r in found] == [words[i] for i in expected.argmax(1)]


def test_a_batch_calibrated_run_continues(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run("llama", "calibrate=batch")
    folder = Path("runs/mine/predictions")
    (folder / f"{TASK}.jsonl").unlink()
    monkeypatch.setattr(evaluation, "predict_rows", None)  # nothing is left to predict
    assert len(list(folder.rglob("*.jsonl"))) == 1 and (folder / "uncalibrated").is_dir()
    assert run("llama", "calibrate=batch") == first


def test_behind_demonstrations(run: Run) -> None:
    plain = run("llama", "rule=sum", "shots=[1]", "style=plain")
    told = run("llama", "rule=sum", "shots=[1]", "style=plain", "calibrate=contextual")
    assert [len(r["scores"]) for r in plain] == [len(r["scores"]) for r in told]
    assert all(sum(np.exp(r["scores"])) == pytest.approx(1, abs=1e-4) for r in told)
    gaps = [np.ptp(np.array(a["scores"]) - b["scores"]) for a, b in zip(plain, told, strict=True)]
    assert min(gaps) > 0.01


@pytest.mark.parametrize(
    ("name", "rules"),
    [("t5", ("sum", "byte", "pmi", "channel")), ("bert", ("sum", "byte", "pmi"))],
)
def test_other_models(run: Run, name: str, rules: tuple[str, ...]) -> None:
    found = {rule: run(name, f"rule={rule}")[0]["scores"] for rule in rules}
    assert all(math.isfinite(v) for values in found.values() for v in values)
    assert len({tuple(v) for v in found.values()}) == len(rules)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("t5", ["rule=perplexity"], "perplexity of a whole statement from a seq2seq model"),
        ("bert", ["rule=channel"], "from a masked model"),
        ("llama", ["rule=perplexity", "shots=[2]"], "with demonstrations in it"),
        ("llama", ["rule=best"], "unknown rule .best."),
        ("llama", ["rule=pmi", "calibrate=batch"], "no probability of the option"),
        ("llama", ["premise=so"], "a premise without pmi"),
    ],
)
def test_what_does_not_apply(run: Run, name: str, given: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        run(name, *given)


def test_tasks_without_options_are_left_out_with_the_reason(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["evaluate", "model=hf", f"model.name={models['llama']}", *SMALL]
    assert main([*asked, f"suite.unseen=[{TASK},sample_court_count]", "evaluation.rule=pmi"]) == 0
    saved = json.loads((tmp_path / "runs/mine/report.json").read_text())
    assert list(saved["unseen"]) == [TASK]
    assert "Regression has none" in saved["skipped"]["sample_court_count"]


def test_an_encoder_has_no_rule() -> None:
    with pytest.raises(ConfigError, match="no language model scores"):
        Ranking("sum").refuse(tiny("bert", "entail"), Generate())


def test_inputs_are_taken_out() -> None:
    labels = LabelSpace(("a", "b"))
    example = TextClassification("t/test/0", "A fine film.", labels, text_b="Who?", gold="a")
    free = without_input(example)
    (asked,) = Generate().encode(free, default_prompt("classify"))
    assert "fine" not in asked.source and "Who" not in asked.source and free.gold is None
    relation = RelationClassification("t/test/1", "Ann met Bo.", Span(0, 3), Span(8, 10), labels)
    (asked,) = Generate().encode(without_input(relation), default_prompt("relate"))
    assert "Ann" not in asked.source and "Bo" not in asked.source


def test_each_label_has_the_share_of_rows_that_passes_its_threshold() -> None:
    """Of scores 1 to 4 the median is 2.5, and a quarter passes 3.25."""
    table = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]])
    assert in_quantiles(table)[:, 0].tolist() == [-1.5, -0.5, 0.5, 1.5]
    assert in_quantiles(table).argmax(1).tolist() == [1, 1, 0, 0]
    assert in_quantiles(table, [0.25, 0.75]).argmax(1).tolist() == [1, 1, 1, 0]
    with pytest.raises(ConfigError, match="shares"):
        in_quantiles(table, [0.5, 0.6])


def test_quantiles_answer_anew_in_entail_alone(tmp_path: Path) -> None:
    backbone = tiny("bert", "entail")
    task = mood_task(tmp_path)
    ranking = Ranking(calibrate="quantile")
    format = Entail()
    (rows,) = features([task], format, backbone.coder, "data", "rows")
    preparation = Preparation(format, backbone.coder, "data")
    found = evaluate_task(
        backbone, task, preparation, rows.store,
        Evaluation(resamples=10, ranking=ranking, predictions=tmp_path / "kept"),
    )  # fmt: skip
    lines = (tmp_path / "kept" / f"{task.name}.jsonl").read_text().splitlines()
    answers = [json.loads(line)["answer"] for line in lines if "answer" in json.loads(line)]
    assert found.rows == len(answers) and set(answers) == {"glad", "sad"}
    with pytest.raises(ConfigError, match="other than hypotheses"):
        ranking.refuse(tiny("bert", "generate"), Generate())
    assert "same options" in str(ranking.refusal(catalogue.load("sample_mining_what_choice")))
