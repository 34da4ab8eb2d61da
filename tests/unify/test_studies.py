"""What demonstrations teach, their order, and the words around them: from kinds to plots."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from unify_helpers import tiny

from formats import Generate
from formats.episodes import Turn
from formats.errors import ConfigError, UnknownName
from tasks import catalogue
from unify.cli import main
from unify.data import prepare
from unify.data.altered import altered, check
from unify.data.choices import picked
from unify.data.episodes import Episodes
from unify.data.prepare import Preparation, TaskFeatures
from unify.data.probing import best_order, label_probabilities, written_probes
from unify.data.turns import Turns
from unify.demonstrations.order import chosen_order, orders
from unify.few_settings import FewShot
from unify.report.box import Box, box, boxes
from unify.results import TaskResult
from unify.study import Study, gler, study
from unify.study import check as check_study
from unify.ways import ways

BACKBONE = tiny("llama", "generate", spread=2.0)


@pytest.fixture(scope="module")
def turns() -> Turns:
    task, coder = catalogue.load("mapping_304"), BACKBONE.coder
    store = prepare(task, Preparation(Generate(), coder, "train", train=True, limit=24))
    episodes = Episodes((0,), dense=False, style="plain")
    return Turns(task, TaskFeatures(task.name, store), coder, episodes)


def texts(turns: Turns, shown: Any) -> list[tuple[str, str]]:
    text = turns.coder.text
    return [(text(list(t.input)), text(list(t.output))) for t in shown]


def test_kinds_of_demonstrations(turns: Turns) -> None:
    shown = [turns.turn(r) for r in range(8)]
    gold, words = texts(turns, shown), catalogue.load("mapping_304").labels.words
    others = [Turn([7, i], [9]) for i in range(10)]

    def made(kind: str, seed: str = "0") -> list[tuple[str, str]]:
        return texts(turns, altered(turns, shown, kind, seed, others))

    assert made("gold") == gold
    assert Counter(o for _, o in made("shuffled")) == Counter(o for _, o in gold)
    for kind in ("random", "correct_50", "correct_0", "random_words", "inputs_only"):
        assert [i for i, _ in made(kind)] == [i for i, _ in gold], kind
    many = [o for seed in range(30) for _, o in made("random", str(seed))]
    assert set(many) == set(words) and max(Counter(many).values()) < 0.5 * len(many)
    for kind, right in (("correct_100", 8), ("correct_75", 6), ("correct_50", 4), ("correct_0", 0)):
        same = sum(a == b for a, b in zip(made(kind), gold, strict=True))
        assert same == right and {o for _, o in made(kind)} <= set(words)
    assert [o for _, o in made("inputs_only")] == [""] * 8
    assert {i for i, _ in made("labels_only")} == {""}
    assert {o for _, o in made("labels_only")} <= set(words)
    inputs = altered(turns, shown, "other_inputs", "0", others)
    assert len({tuple(t.input) for t in inputs}) == 8 and all(t.input[0] == 7 for t in inputs)
    invented = {o for seed in range(9) for _, o in made("random_words", str(seed))}
    assert not invented & set(words) and all(w.isalpha() for w in invented)
    assert len({o for _, o in made("random_words")}) <= len(words)
    assert made("random", "1") == made("random", "1") != made("random", "2")


def test_kinds_that_cannot_be(turns: Turns) -> None:
    with pytest.raises(UnknownName, match="correct_101"):
        check("correct_101")
    with pytest.raises(ConfigError, match="too few inputs"):
        altered(turns, [turns.turn(0)], "other_inputs", "0")
    few = FewShot(shots=(2,), labels=("random",))
    assert "fixed set of labels" in str(few.refusal(catalogue.load("sample_court_who_choice")))
    assert few.refusal(catalogue.load("mapping_304")) is None


def test_the_ratio_by_hand() -> None:
    assert gler(0.8, 0.5, 0.3) == pytest.approx(0.6)
    assert gler(0.8, 0.8, 0.3) == 0 and gler(0.3, 0.2, 0.3) is None


def test_boxes_by_hand() -> None:
    assert box([1, 2, 3, 4, 12]) == Box(1, 2, 3, 4, 4, (12,))
    assert box([5]) == Box(5, 5, 5, 5, 5, ())
    plot = boxes("A <title>", [("one & two", [0.1, 0.2, 0.9]), ("none", [])])
    root = ET.fromstring(plot)
    said = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "one & two" in said and "40.0" in said  # the mean, in points
    rects = list(root.iter("{http://www.w3.org/2000/svg}rect"))
    assert len(rects) == 1
    # Quartiles 15 and 55 of 0..100 on 560 pixels that begin at 230.
    assert [float(rects[0].get(k, "")) for k in ("x", "width")] == [314, 224]


def test_ways_of_asking() -> None:
    task = catalogue.load("sample_sea_state")
    count = task.prompt.count("generate")
    found = ways(task, ("own", "Q: <source>\nA:"))
    assert len(found) == count + 1 and ways(task) == [task]
    example = next(task.examples("test"))
    asked = [next(iter(Generate().encode(example, t.prompt))).source for t in found]
    assert asked[0] == next(iter(Generate().encode(example, task.prompt))).source
    assert asked[-1] == f"Q: {asked[0]}\nA:" and len(set(asked)) == count + 1
    with pytest.raises(ConfigError, match="without a place"):
        ways(task, ("Q:",))


def test_settings_that_are_no_study() -> None:
    check_study("order", FewShot(shots=(4,), orders="all"))
    for name, few in (("order", FewShot(shots=(4,))), ("prompts", None),
                      ("order", FewShot(shots=(3, 4), orders="all")),
                      ("demonstrations", FewShot(shots=(0, 2), templates=("own",))),
                      ("demonstrations", FewShot(shots=(4,)))):  # fmt: skip
        with pytest.raises(ConfigError, match="cannot be made of"):
            check_study(name, few)


def test_the_range_of_a_draw_is_over_its_own_orders() -> None:
    """Tasks with fewer training rows than shots have fewer orders."""

    def result(task: str, orders: dict[str, float]) -> TaskResult:
        mean = sum(orders.values()) / len(orders)
        return TaskResult(f"{task}, 3-shot", "T", "generate", "accuracy", mean, mean, mean, 9, {},
                          1.0, {"orders": orders})  # fmt: skip

    more = {"seed 0, order 0-1-2": 0.1, "seed 0, order 1-0-2": 0.5, "seed 1, order 0-1-2": 0.4,
            "seed 1, order 1-0-2": 0.4}  # fmt: skip
    less = {"seed 0, order 0-1": 0.2, "seed 0, order 1-0": 0.4}
    few = FewShot(shots=(3,), orders="all")
    found = study("order", few, [result("a", more), result("b", less)])
    assert found.facts["range_within_a_draw"] == pytest.approx((0.4 + 0.0 + 0.2) / 3)


def test_a_study_says_that_its_ratio_is_undefined() -> None:
    lines = Study("demonstrations", "t", [("a", [0.5, 0.7])], {"gler": None}).lines()
    assert "a   60.0  (50.0 to 70.0)" in lines and "undefined" in lines[-1]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("studied")
    wide = tiny("llama", "generate", window=200, config={"max_position_embeddings": 200})
    wide.model.save_pretrained(place)
    wide.coder.tokenizer.save_pretrained(place)
    return place


SMALL = ["model=hf", "suite=mappings", "suite.unseen=[mapping_304,mapping_305]", "name=mine",
         "suite.limits.test=6", "evaluation.resamples=5", "evaluation.seeds=[0]",
         "report.examples=1"]  # fmt: skip


def studied(
    name: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *more: str
) -> tuple[dict[str, Any], Path]:
    monkeypatch.chdir(tmp_path)
    given = ["evaluate", f"evaluation={name}", f"model.name={model}", *SMALL, *more]
    assert main(given) == 0
    folder = tmp_path / "runs" / "mine"
    ET.fromstring((folder / "study.svg").read_text())
    return json.loads((folder / "study.json").read_text()), folder


def test_what_demonstrations_teach(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found, _ = studied("demonstrations", model, tmp_path, monkeypatch, "evaluation.shots=[0,3]")
    assert list(found["rows"]) == [
        "0-shot", "3-shot", "3-shot, correct 75", "3-shot, correct 50", "3-shot, correct 25",
        "3-shot, correct 0", "3-shot, random", "3-shot, labels only", "3-shot, inputs only",
        "3-shot, other inputs", "3-shot, random words",
    ]  # fmt: skip
    assert all(len(v) == 2 for v in found["rows"].values())
    mean = {k: sum(v) / 2 for k, v in found["rows"].items()}
    expected = gler(mean["3-shot"], mean["3-shot, random"], mean["0-shot"])
    assert found["gler"] == (None if expected is None else pytest.approx(expected))
    assert set(found["gler_per_task"]) == {"mapping_304", "mapping_305"}
    said = capsys.readouterr().out
    assert "ground-truth label effect ratio" in said and "plot: runs/mine/study.svg" in said


def test_all_orders_of_the_same_demonstrations(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, folder = studied("order", model, tmp_path, monkeypatch, "evaluation.shots=[3]")
    assert list(found["rows"]) == ["mean of the tasks", "mapping_304", "mapping_305"]
    assert all(len(v) == math.factorial(3) for v in found["rows"].values())
    assert found["names"][0] == "seed 0, order 0-1-2" and len(set(found["names"])) == 6
    files = sorted(p.parent.name for p in folder.rglob("mapping_304.jsonl"))
    assert files == sorted(f"3-shot, {n}" for n in found["names"])
    scores = {p.read_text() for p in folder.rglob("mapping_304.jsonl")}
    assert len(scores) == 6  # every order makes other numbers


def test_ways_of_asking_are_compared(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = studied("prompts", model, tmp_path, monkeypatch, "evaluation.shots=[1]")
    assert list(found["rows"]) == ["mean of the tasks", "mapping_304", "mapping_305"]
    assert found["names"] == ["0", "1", "2", "3", "4"]


def test_a_study_that_fails_leaves_the_report(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["evaluate", "evaluation=prompts", f"model.name={model}", *SMALL,
             "evaluation.shots=[0]", 'evaluation.templates=["<source>"]']  # fmt: skip
    assert main(given) == 1
    assert "nothing differs" in capsys.readouterr().err
    found = json.loads((tmp_path / "runs/mine/report.json").read_text())
    assert len(found["unseen"]) == 2 and not (tmp_path / "runs/mine/study.json").exists()


def test_probing_is_refused_in_a_chat() -> None:
    for more in ({"orders": "local_entropy"}, {"choose": "information"}, {"choose": "perplexity"}):
        with pytest.raises(ConfigError, match="what a model says, in a chat") as caught:
            FewShot(shots=(2,), chat="turns", **more)  # type: ignore[arg-type]
        assert caught.value.fix == "evaluation.chat=off"
        FewShot(shots=(2,), **more)  # type: ignore[arg-type]


def test_probes_that_the_model_writes(turns: Turns) -> None:
    BACKBONE.sharing = True
    shown = [turns.turn(r) for r in range(3)]
    contexts = [[shown[i] for i in order] for order in orders(3)]
    probes = written_probes(BACKBONE, turns, contexts, seed=1)
    assert 0 < len(probes) <= 6 and probes == written_probes(BACKBONE, turns, contexts, seed=1)
    words = [" " + w for w in catalogue.load("mapping_304").labels.words]
    for ids in probes:
        text = turns.coder.tokenizer.decode(ids)
        assert "\n\n" not in text and not any(text.endswith(w) for w in words)
    table = label_probabilities(BACKBONE, turns, contexts, probes)
    assert table.shape == (6, len(probes), len(words))
    assert table.sum(-1) == pytest.approx(np.ones(table.shape[:2]), abs=1e-6)
    for by in ("global_entropy", "local_entropy"):
        expected = contexts[chosen_order(table, by)]
        assert best_order(BACKBONE, turns, shown, by, seed=1) == expected


def test_probing_refuses_a_masked_model(turns: Turns) -> None:
    with pytest.raises(ConfigError, match="what a model says"):
        best_order(tiny("bert", "generate"), turns, [turns.turn(0), turns.turn(1)],
                   "global_entropy", 0)  # fmt: skip


def test_demonstrations_chosen_by_what_a_model_says(turns: Turns) -> None:
    held = turns.store

    def shown(choose: str) -> list[tuple[str, str]]:
        found = picked(choose, turns, held, 4, 0, backbone=BACKBONE)
        assert not callable(found)
        return texts(turns, found)

    before = BACKBONE.layout.single_before
    from unify.scoring.requests import Coded

    pool = [turns.turn(r) for r in range(len(turns.rows))]
    coded = [Coded((*before, *t.input, *t.output), max(1, len(before))) for t in pool]
    scores = BACKBONE.scorer().score_coded(coded)
    by = sorted(range(len(pool)), key=lambda r: -scores[r].logprob / scores[r].tokens)
    told = list(dict.fromkeys(texts(turns, [pool[r] for r in by])))
    assert shown("perplexity") == told[:4][::-1]  # the least surprising stands last
    assert len({i for i, _ in shown("diverse")}) == 4
    assert shown("information") == shown("information") and len(shown("information")) == 4
    with pytest.raises(ConfigError, match="a causal model"):
        picked("perplexity", turns, held, 2, 0)


def test_near_and_unlike_each_other(turns: Turns) -> None:
    near = picked("nearest", turns, turns.store, 2, 0)
    mixed = picked("relevant_diverse", turns, turns.store, 2, 0)
    assert callable(near) and callable(mixed)
    rows = range(len(turns.store))
    assert all(near(r)[-1] == mixed(r)[-1] for r in rows)  # the nearest is the first chosen
    assert any(list(near(r)) != list(mixed(r)) for r in rows)


def test_faiss_is_asked_for_where_it_is_missing(turns: Turns) -> None:
    import importlib.util

    if importlib.util.find_spec("faiss") is None:
        with pytest.raises(ConfigError, match="pip install faiss-cpu"):
            picked("nearest", turns, turns.store, 2, 0, search="faiss")
        return
    exact, found = (picked("nearest", turns, turns.store, 1, 0, search=s)
                    for s in ("exact", "faiss"))  # fmt: skip
    assert callable(exact) and callable(found)
    assert [exact(r) for r in range(9)] == [found(r) for r in range(9)]
