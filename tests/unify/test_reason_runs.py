"""Every method of `unify reason`, `unify align` and `unify induce`, through the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripted_lm import Scripted
from unify_helpers import tiny

from tasks import catalogue
from unify.backbones import save
from unify.cli import main
from unify.config import compose
from unify.quiet import quiet
from unify.reasoning.build import build
from unify.reasoning.run import evaluate
from unify.reasoning.self_instruct import Instance, Instructed, write_tasks
from unify.scoring import Writing

quiet()
CONF = Path(__file__).parents[2] / "conf"


def methods(group: str) -> list[str]:
    return sorted(p.stem for p in (CONF / group).glob("*.yaml") if not p.name.startswith("_"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A folder of each kind of model, and a working folder for runs."""
    place = tmp_path_factory.mktemp("reason")
    for name in ("llama", "t5"):
        more = {"config": {"max_position_embeddings": 512}} if name == "llama" else {}
        save(tiny(name, "generate", window=512, max_target=24, **more), place / name)
    before = Path.cwd()
    os.chdir(place)
    yield {name: str(place / name) for name in ("llama", "t5")}
    os.chdir(before)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


QUICK = ["rows=2", "writing.tokens=6", "reasoning.demos=2", "reasoning.pool=6", "resamples=10",
         "report.examples=1", "task=sums"]  # fmt: skip


@pytest.mark.parametrize("method", methods("reasoning"))
def test_every_reasoning_method_ends_in_a_report(
    method: str, models: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["reasoning.samples=3"] if method == "self_consistency" else []
    chosen = models["t5"] if method == "cot" else models["llama"]
    name = f"name={method}"
    status = main(["reason", f"method={method}", f"model.name={chosen}", name, *QUICK, *more])
    out, err = capsys.readouterr()
    assert status == 0, err
    folder = Path("runs") / method
    assert "sums" in out and (folder / "report.html").exists()
    rows = lines(folder / "predictions" / "sums.jsonl")
    assert len(rows) == 2
    assert all({"id", "answer", "gold", "right", "texts"} <= set(r) for r in rows)
    told = json.loads((folder / "report.json").read_text())["unseen"]["sums"]
    assert told["metric"] == "numeric_em" and told["rows"] == 2
    # An untrained model does not come to an end in six tokens.
    wrote = sum(len(r["texts"]) for r in rows)
    assert 0 < told["unfinished_texts"] <= 2 * wrote and told["cut_tokens"] >= told["cut_rows"] >= 0
    page = (folder / "report.html").read_text()
    assert "unfinished texts" in page and "Results: tasks" in page
    if method == "self_consistency":
        assert len(rows[0]["texts"]) == 3
    assert ("calibration" in told) == (method == "self_consistency")


def test_the_model_of_a_run_is_asked(
    models: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path("runs") / "trained"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("name: trained\n")
    (folder / "model").symlink_to(models["llama"])
    assert main(["reason", "method=direct", "run=trained", "name=of_a_run", *QUICK]) == 0
    assert "direct with trained" in capsys.readouterr().out


def test_a_sweep_ends_in_one_table_of_methods_by_tasks(
    models: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    few = [q for q in QUICK if not q.startswith("task=")] + ["reasoning.worked.text=[]"]
    tasks = "task=[sums,replies]"  # no row of replies shows its steps
    status = main(["reason", "-m", "method=cot,zero_shot_cot", f"model.name={models['llama']}",
                   "name=sweep", tasks, *few])  # fmt: skip
    out, err = capsys.readouterr()
    assert status == 0, err
    assert "no worked example for replies" in out and "zero_shot_cot" in out
    found = json.loads((Path("runs") / "sweep" / "comparison.json").read_text())
    assert "sums" in json.dumps(found) and (Path("runs") / "sweep" / "report.html").exists()
    alone = ["method=cot", f"model.name={models['llama']}", "name=alone", "task=replies"]
    assert main(["reason", *alone, *few]) == 1
    assert "demos_from" in capsys.readouterr().err


def test_a_method_is_needed_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reason", "method=cot"]) == 1
    assert "task" in capsys.readouterr().err
    assert main(["reason", "method=cot", "task=sums", "run=nowhere"]) == 1
    assert "no run here" in capsys.readouterr().err
    assert main(["reason", "method=cto", "task=sums", "model.name=x"]) == 1
    assert "cot" in capsys.readouterr().err


def test_a_killed_run_continues_and_other_settings_begin_anew(tmp_path: Path) -> None:
    task = catalogue.load("sums")
    settings = compose("reason", ["reasoning=direct", "reasoning.demos=1"])["reasoning"]

    def run(lm: Scripted, seed: int = 0, rows: int = 6) -> Any:
        built = build(settings, lm, task, "test", Writing(), seed)
        return evaluate(
            built, lm, task, folder=tmp_path, about=settings, label="x", rows=rows, batch=2,
            seed=seed, resamples=10,
        )  # fmt: skip

    class Killed(RuntimeError):
        pass

    def dying(prompt: str) -> str:
        if len(lm.calls) > 2:
            raise Killed
        return " The answer is 1."

    lm = Scripted(dying)
    with pytest.raises(Killed):
        run(lm)
    assert len(lines(tmp_path / "sums.jsonl")) == 4
    again = Scripted(lambda p: " The answer is 2.")
    result = run(again)
    assert len(again.prompts) == 2 and result.notes["kept_rows"] == 4
    assert [r["answer"] for r in lines(tmp_path / "sums.jsonl")] == ["1"] * 4 + ["2"] * 2
    assert len(run(again).examples) == 6 and len(again.prompts) == 2  # finished: nothing is asked
    run(again, seed=1)
    assert len(again.prompts) == 8


@pytest.mark.parametrize("method", methods("alignment"))
def test_every_alignment_method_ends_in_a_table(
    method: str, models: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = models["t5"] if method in ("dpo", "ppo_ptx") else models["llama"]
    few = [f"model.name={chosen}", f"name=align_{method}", "rows=12", "test_rows=4",
           "writing.tokens=5"]  # fmt: skip
    config = compose("align", [f"alignment={method}"])["alignment"]
    for key, value in (("ranked_rows", 10), ("ranked_samples", 3), ("n", 2), ("rounds", 1),
                       ("threshold", -9.0)):  # fmt: skip
        if key in config:
            few.append(f"alignment.{key}={value}")
    for key in ("reward", "steps"):
        if key in config:
            few += [f"alignment.{key}.steps=2", f"alignment.{key}.batch=4"]
    if "ppo" in config:
        few += ["alignment.ppo.iterations=2", "alignment.ppo.rollouts=4", "alignment.ppo.batch=2"]
    # An untrained model never says what is preferred: any longer text is better here.
    few.append("preference=unify.alignment.data.longer")
    status = main(["align", f"method={method}", *few])
    out, err = capsys.readouterr()
    if method == "star" and status == 1:  # an untrained model: whatever is right is so by chance
        assert "no rationale" in err
        return
    assert status == 0, err
    folder = Path("runs") / f"align_{method}"
    told = json.loads((folder / "align.json").read_text())
    assert told["table"] and told["table"][0]["arm"] in out
    if told["lines"]:
        assert (folder / "curves.svg").read_text().startswith("<svg")
    page = (folder / "report.html").read_text()
    assert told["table"][0]["arm"] in page and ("<polyline" in page) == bool(told["lines"])


def test_a_killed_alignment_keeps_its_finished_arms(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from unify.alignment import run_methods
    from unify.alignment.dpo import dpo

    few = ["align", "method=dpo", f"model.name={models['llama']}", "name=killed", "rows=12",
           "test_rows=4", "writing.tokens=5", "alignment.ranked_rows=10",
           "alignment.ranked_samples=3", "alignment.steps.steps=2",
           "preference=unify.alignment.data.longer"]  # fmt: skip
    trained: list[float] = []

    def dying(engine: Any, pairs: Any, beta: float, *more: Any) -> Any:
        if beta == 0.5 and 0.5 not in trained:
            trained.append(beta)
            raise KeyboardInterrupt
        trained.append(beta)
        return dpo(engine, pairs, beta, *more)

    monkeypatch.setattr(run_methods, "dpo", dying)
    assert main(few) == 130
    assert main(few) == 0, capsys.readouterr().err
    assert trained == [0.1, 0.5, 0.5]
    told = json.loads((Path("runs") / "killed" / "align.json").read_text())
    assert [r["arm"] for r in told["table"]] == ["supervised", "DPO, beta 0.1", "DPO, beta 0.5"]
    assert set(told["lines"]["margin"]) == {"DPO, beta 0.1", "DPO, beta 0.5"}
    assert main([*few, "seed=1"]) == 0 and len(trained) == 5


@pytest.mark.parametrize("method", methods("inducing"))
def test_every_inducing_method_ends_in_a_table(
    method: str, models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = models["t5"] if method == "ape_insertion" else models["llama"]
    few = [f"model.name={chosen}", f"name=induce_{method}", "writing.tokens=6", "rows=4",
           "test_rows=2", "task=replies"]  # fmt: skip
    if method == "self_instruct":
        seeds = [
            Instructed(f"s{i}", "a", f"Say {i} words.", (Instance("x", "y"),)) for i in range(3)
        ]
        write_tasks(seeds, tmp_path / "seeds.jsonl")
        few += [f"seeds={tmp_path / 'seeds.jsonl'}", "inducing.rounds=1", "inducing.prompts=2"]
    else:
        few += ["inducing.prompts=2", "inducing.shown=2", "inducing.samples=2", "inducing.keep=2"]
    status = main(["induce", f"method={method}", *few])
    out, err = capsys.readouterr()
    assert status == 0, err
    told = json.loads((Path("runs") / f"induce_{method}" / "table.json").read_text())
    if method == "self_instruct":
        assert told[0] == {"what": "seed tasks", "count": 3} and "new tasks" in out
    else:
        columns = {"task", "instruction", "ranked", "test", "own instruction", "none", "test rows"}
        assert set(told[0]) == columns
        assert (Path("runs") / f"induce_{method}" / "replies.json").exists()
    page = (Path("runs") / f"induce_{method}" / "report.html").read_text()
    assert "Candidates for replies" in page or "Counts" in page


def test_files_of_methods_are_read_by_their_roots() -> None:
    for group, root in (
        ("reasoning", "reason"), ("alignment", "align"), ("inducing", "induce")
    ):  # fmt: skip
        for method in methods(group):
            raw = yaml.safe_load((CONF / group / f"{method}.yaml").read_text())
            config = compose(root, [f"{group}={method}"])[group]
            for key, value in raw.get(group, raw).items():
                if key != "defaults" and not isinstance(value, dict):
                    assert config[key] == value
