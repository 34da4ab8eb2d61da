"""Two runs row by row: literal significance, made files, and two real tiny runs."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import numpy as np
import pytest
from unify_helpers import tiny

from formats import Entail
from formats.errors import RunError
from tasks import catalogue, metrics
from unify import runs
from unify.cli import main
from unify.compare import compare, flips
from unify.data import Preparation, prepare
from unify.evaluation import Evaluation, TaskResult, evaluate_task
from unify.paired import Sides, compared, holm, mcnemar, randomised
from unify.predictions import same_rows
from unify.report import Report, render, write
from unify.report.comparison_rows import rows_view

STATE = "sample_sea_state"


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (8, 2, 0.109375), (2, 8, 0.109375), (4, 4, 1.0),
     (10, 1, 0.01171875)],
)
def test_mcnemar_is_the_exact_binomial(only_a: int, only_b: int, p: float) -> None:
    assert mcnemar(only_a, only_b) == p


def test_mcnemar_of_thousands_of_rows_does_not_overflow() -> None:
    assert mcnemar(1500, 1500) == 1.0
    assert 0 <= mcnemar(3000, 1000) < 1e-200


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_share_of_exchanges_counts_the_observed_one() -> None:
    assert randomised(0.5, np.array([0.5, -0.5, 0.1, 0.0])) == 3 / 5
    assert randomised(0.0, np.array([0.1, 0.0])) == 1.0
    assert randomised(0.9, np.zeros(999)) == 0.001


def mean_sides(a: list[float], b: list[float]) -> Sides:
    stats = [np.stack([np.array(x, float), np.ones(len(x))], axis=1) for x in (a, b)]
    return Sides(metrics.metric("accuracy"), [stats[0]], [stats[1]])


def test_an_exchange_swaps_whole_rows() -> None:
    sides = mean_sides([1, 1, 0, 1], [0, 1, 0, 0])
    assert sides.values() == (0.75, 0.25)
    swap = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 1, 0]])
    assert sides.swapped(swap).tolist() == [0.5, -0.5, 0.0, 0.5]
    assert sides.resampled(np.array([[1, 1, 1, 1], [4, 0, 0, 0], [0, 2, 2, 0]])).tolist() == [
        0.5, 1.0, 0.0,
    ]


def test_p_approaches_the_exact_sign_test() -> None:
    # 8 rows that a alone has right, 2 that b alone has, and 30 alike: 2^10 exchanges, exact.
    a, b = [1] * 8 + [0] * 2 + [1] * 30, [0] * 8 + [1] * 2 + [1] * 30
    (found,), whole = compared([mean_sides(a, b)], n=20_000)
    assert found.value == pytest.approx(0.15) and found.p == pytest.approx(0.109375, abs=0.01)
    assert whole == found
    # The bootstrap's standard error: sqrt(var of the row differences / n).
    spread = np.std(np.array(a) - np.array(b)) / np.sqrt(40)
    assert found.low == pytest.approx(0.15 - 1.96 * spread, abs=0.03)
    assert found.high == pytest.approx(0.15 + 1.96 * spread, abs=0.03)


def test_the_macro_difference_is_sharper_than_its_tasks() -> None:
    a, b = [1] * 14 + [0] * 6 + [1] * 20, [0] * 14 + [1] * 6 + [1] * 20
    each, whole = compared([mean_sides(a, b)] * 6, n=2000)
    assert whole.value == pytest.approx(0.2)
    assert whole.p < 0.01 < min(d.p for d in each)
    widths = [d.high - d.low for d in each]
    assert whole.high - whole.low == pytest.approx(np.mean(widths) / np.sqrt(6), rel=0.15)


def test_seeds_are_averaged_and_exchanged_together() -> None:
    one, two = mean_sides([1, 0], [0, 0]), mean_sides([1, 1], [1, 0])
    both = Sides(one.metric, [*one.a, *two.a], [*one.b, *two.b])
    assert both.values() == (0.75, 0.25)
    # First row: 1 to 0 with seed one, 1 to 1 with seed two; second row: 0 to 0, 1 to 0.
    assert both.swapped(np.array([[0, 0], [1, 0], [0, 1], [1, 1]])).tolist() == [
        0.5, 0.0, 0.0, -0.5,
    ]


# Files


def test_flips_list_the_most_confident_mistakes_first() -> None:
    def row(i: int, right: bool, *scores: float) -> dict[str, Any]:
        return {"id": f"t/test/{i}", "right": right, "scores": list(scores)}

    a = [row(0, True, 1, 0), row(1, True, 1, 0), row(2, False, 0.2, 0.1), row(3, True), row(4, 0)]
    b = [row(0, False, 1, 2), row(1, False, 1, 9), row(2, True, 1, 0), row(3, True), row(4, 0)]
    found = flips(a, b)
    assert found.only_a == ("t/test/1", "t/test/0") and found.only_b == ("t/test/2",)
    assert (found.both, found.neither, found.p) == (1, 1, 1.0)


def rows_of(name: str, count: int, wrong: set[int]) -> list[dict[str, Any]]:
    """Predictions of the first test rows of a sample task, the gold but for ``wrong`` ones."""
    rows = []
    for i, e in enumerate(catalogue.load(name).examples("test", limit=count)):
        other = next(n for n in e.labels.names if n != e.gold)  # type: ignore[union-attr]
        answer = other if i in wrong else e.gold
        rows.append({"id": e.id, "answer": answer, "gold": e.gold, "right": i not in wrong})
    return rows


def made(folder: Path, rows: list[dict[str, Any]], name: str = STATE, **changes: Any) -> Path:
    runs.write_config(folder, {})
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(r) + "\n" for r in rows)
    (folder / "predictions" / f"{name}.jsonl").write_text(text)
    right = sum(bool(r["right"]) for r in rows) / len(rows)
    result = TaskResult(name, "TextClassification", "entail", "accuracy", right, 0, 1, len(rows),
                        {}, 1.0, **changes)
    write(Report("r", [result]), folder)
    return folder


def test_made_files_compare_as_counted_by_hand(tmp_path: Path) -> None:
    a = made(tmp_path / "a", rows_of(STATE, 20, {0, 1}))
    b = made(tmp_path / "b", rows_of(STATE, 20, {1, 2, 3, 4, 5, 6, 7, 8, 9}))
    found = compare(a, b, resamples=4000)
    (task,) = found.tasks
    assert (task.a, task.b, task.rows, task.metric) == (0.9, 0.55, 20, "accuracy")
    assert (task.wins, task.losses, task.ties) == (8, 1, 11)
    assert task.flips.only_a == tuple(f"{STATE}/test/{i}" for i in range(2, 10))
    assert task.flips.only_b == (f"{STATE}/test/0",)
    assert (task.flips.both, task.flips.neither) == (10, 1)
    assert task.flips.p == 20 / 512  # 2 * (1 + 9) / 2^9
    assert task.difference.value == pytest.approx(0.35) == found.macros[0].difference.value
    assert task.difference.p == pytest.approx(20 / 512, abs=0.012)
    assert 0.05 < task.difference.low < 0.35 < task.difference.high
    back = compare(b, a, resamples=4000)
    assert back.macros[0].difference.value == pytest.approx(-0.35)
    json.dumps(found.as_json(), allow_nan=False)
    assert found.as_json(2)["tasks"][0]["flips"]["only_a"] == {
        "rows": 8, "ids": [f"{STATE}/test/2", f"{STATE}/test/3"],
    }


def test_the_order_of_the_file_does_not_matter(tmp_path: Path) -> None:
    rows = rows_of(STATE, 12, {3})
    a, b = made(tmp_path / "a", rows), made(tmp_path / "b", [*rows[6:], *rows[:6]])
    for one, other in ((a, b), (b, a)):
        (task,) = compare(one, other, resamples=50).tasks
        assert task.difference.value == 0.0 and task.ties == 12 and task.difference.p == 1.0


def test_other_rows_are_refused_with_what_is_shared(tmp_path: Path) -> None:
    a = made(tmp_path / "a", rows_of(STATE, 20, set()))
    b = made(tmp_path / "b", rows_of(STATE, 12, set()))
    with pytest.raises(RunError, match="different rows") as caught:
        compare(a, b)
    assert caught.value.got == "20 and 12 rows, 12 of them shared"
    one = {"x": {"gold": "a"}, "y": {"gold": "b"}}
    with pytest.raises(RunError, match="different gold") as caught:
        same_rows("t", one, {"x": {"gold": "a"}, "y": {"gold": "c"}})
    assert caught.value.got == "1 of 2 rows" and caught.value.where["row"] == "y"


def test_torn_and_double_rows_are_refused(tmp_path: Path) -> None:
    a = made(tmp_path / "a", rows_of(STATE, 5, set()))
    b = made(tmp_path / "b", rows_of(STATE, 5, set()))
    path = b / "predictions" / f"{STATE}.jsonl"
    whole = path.read_text()
    for text, said in ((whole[:-9], "ends in the middle"), (whole + whole, "twice")):
        path.write_text(text)
        with pytest.raises(RunError, match=said):
            compare(a, b)


def test_what_only_one_run_has_is_left_out(tmp_path: Path) -> None:
    a = made(tmp_path / "a", rows_of(STATE, 5, set()))
    b = made(tmp_path / "b", rows_of("sample_craft_state", 5, set()), "sample_craft_state")
    with pytest.raises(RunError, match="share no task"):
        compare(a, b)


def test_a_task_that_one_run_has_no_predictions_of_is_named(tmp_path: Path) -> None:
    a, b = real(tmp_path / "a", 0), real(tmp_path / "b", 1)
    (b / "predictions" / f"{STATE}.jsonl").unlink()
    found = compare(a, b, resamples=20)
    assert len(found.tasks) == 3 and list(found.left_out) == [STATE]
    assert "no predictions in" in found.left_out[STATE]


def test_numbers_win_by_their_distance_to_gold(tmp_path: Path) -> None:
    name = "sample_court_count"
    examples = list(catalogue.load(name).examples("test", limit=6))
    off = {"a": [0, 0, 1, 2, None, 1], "b": [0, 1, 0, 3, 5, None]}
    folders = []
    for run, by in off.items():
        rows = [
            {"id": e.id, "answer": None if d is None else e.gold + d, "gold": e.gold,
             "right": d == 0}
            for e, d in zip(examples, by, strict=True)
        ]
        folders.append(made(tmp_path / run, rows, name))
    (task,) = compare(*folders, resamples=20).tasks
    assert (task.wins, task.losses, task.ties) == (3, 2, 1)
    assert task.wins_by == "distance to gold"
    assert (len(task.flips.only_a), len(task.flips.only_b)) == (1, 1)


def shots(folder: Path, wrong: dict[int, set[int]]) -> Path:
    """A 4-shot result with one predictions file per seed."""
    runs.write_config(folder, {})
    for seed, missed in wrong.items():
        inside = folder / "predictions" / f"4-shot, seed {seed}"
        inside.mkdir(parents=True)
        text = "".join(json.dumps(r) + "\n" for r in rows_of(STATE, 10, missed))
        (inside / f"{STATE}.jsonl").write_text(text)
    value = 1 - sum(map(len, wrong.values())) / 10 / len(wrong)
    notes = {"seeds": {str(s): 1 - len(m) / 10 for s, m in wrong.items()}}
    result = TaskResult(f"{STATE}, 4-shot", "TextClassification", "generate", "accuracy", value,
                        0, 1, 10, {}, 1.0, notes, setting="4-shot")
    write(Report("r", [result]), folder)
    return folder


def test_orders_of_a_seed_are_compared_each_with_its_own(tmp_path: Path) -> None:
    folders = []
    for name in "ab":
        folders.append(shots(tmp_path / name, {0: {0}, 1: {1}}))
        for seed in (0, 1):
            place = folders[-1] / "predictions" / f"4-shot, seed {seed}"
            place.rename(place.with_name(f"{place.name}, order 1-0"))
    (task,) = compare(*folders, resamples=20).tasks
    assert (task.a, task.b) == (0.9, 0.9) and task.ties == 10


def test_results_over_seeds_are_means_and_rows_of_seeds_stay_together(tmp_path: Path) -> None:
    a = shots(tmp_path / "a", {0: {0}, 1: {0}, 10: {1}})
    b = shots(tmp_path / "b", {0: {2, 3}, 1: {2}, 10: {2}})
    (task,) = compare(a, b, resamples=50).tasks
    assert task.task == f"{STATE}, 4-shot"
    assert (task.a, task.b) == pytest.approx((0.9, 1 - 4 / 30))
    assert (task.wins, task.losses, task.ties) == (2, 2, 6)  # 2, 3 to a; 0, 1 to b
    fewer = compare(a, shots(tmp_path / "c", {1: {2, 3, 4}, 10: {0, 2}}), resamples=50)
    assert (fewer.tasks[0].a, fewer.tasks[0].b) == pytest.approx((0.9, 0.75))
    assert fewer.left_out == {f"{STATE}, 4-shot, seeds 0": "in one run alone"}
    with pytest.raises(RunError, match="share no task"):
        compare(a, shots(tmp_path / "d", {7: {2}}))


def settings(
    folder: Path, wrong: dict[str, dict[str, set[int]]], more: str = "", **notes: Any
) -> Path:
    """Results by setting and task, with the predictions that were wrong; ``more`` is said behind
    each setting in the report alone."""
    runs.write_config(folder, {})
    results = []
    for setting, tasks in wrong.items():
        inside = folder / "predictions" / f"{setting}, seed 0"
        inside.mkdir(parents=True)
        for name, missed in tasks.items():
            rows = rows_of(name, 10, missed)
            (inside / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
            results.append(
                TaskResult(f"{name}, {setting}{more}", "TextClassification", "generate",
                           "accuracy", 1 - len(missed) / 10, 0, 1, 10, {}, 1.0, notes)
            )  # fmt: skip
    write(Report("r", results), folder)
    return folder


def test_every_setting_has_its_own_average_over_the_same_draws(tmp_path: Path) -> None:
    craft = "sample_craft_state"
    wrong = {STATE: {0, 1, 2}, craft: {5}}
    a = settings(tmp_path / "a", {"0-shot": wrong, "4-shot": {**wrong, craft: set()}})
    none = {STATE: set[int](), craft: set[int]()}
    b = settings(tmp_path / "b", {"0-shot": none, "4-shot": none})
    found = compare(a, b, resamples=200)
    zero, four = found.macros
    assert (zero.setting, zero.tasks, zero.rows) == ("0-shot", 2, 20)
    assert (zero.a, zero.b) == pytest.approx((0.8, 1.0))
    assert (four.setting, four.tasks, four.rows) == ("4-shot", 2, 20)
    assert (four.a, four.difference.value) == pytest.approx((0.85, -0.15))
    by = {t.task: t.difference for t in found.tasks}
    assert list(by) == [f"{t}, {k}-shot" for k in (0, 4) for t in (STATE, craft)]
    assert by[f"{STATE}, 0-shot"] == by[f"{STATE}, 4-shot"]
    lines = " ".join(render(rows_view(found, 0)).split())
    assert "macro, 0-shot, 2 tasks 80.0 100.0 -20.0" in lines
    assert "macro, 4-shot, 2 tasks 85.0 100.0 -15.0" in lines
    assert "a is above b on 0 results, below on 3, equal on 1" in lines


def test_ways_of_asking_are_compared_each_with_its_own(tmp_path: Path) -> None:
    folders = []
    for name, missed in (("a", {0, 1}), ("b", {2})):
        folder = settings(tmp_path / name, {"4-shot": {STATE: missed}}, ", 2 templates",
                          templates={"0": 0.8, "1": 0.8})  # fmt: skip
        rows = folder / "predictions" / "4-shot, seed 0"
        for place in ("template 0", "template 1", "template 2"):  # the last is an earlier one's
            copytree(rows, folder / "predictions" / place / rows.name)
        rmtree(rows)
        folders.append(folder)
    (folders[0] / "predictions/template 2/4-shot, seed 0" / f"{STATE}.jsonl").write_text("torn")
    found = compare(*folders, resamples=20)
    (task,) = found.tasks
    assert (task.task, task.setting) == (f"{STATE}, 4-shot, 2 templates", "4-shot")
    assert (task.a, task.b, task.rows, task.ties) == (0.8, 0.9, 10, 7)
    assert [(m.setting, m.tasks) for m in found.macros] == [("4-shot", 1)] and not found.left_out


def real(folder: Path, seed: int) -> Path:
    backbone = tiny("modernbert", "entail", seed=seed)
    results = []
    for name in (STATE, "sample_court_who_choice", "sample_court_count", "sample_music_labels"):
        task = catalogue.load(name)
        preparation = Preparation(Entail(), backbone.coder, "test", limit=16)
        how = Evaluation(resamples=10, predictions=folder / "predictions")
        store = prepare(task, preparation)
        results.append(evaluate_task(backbone, task, preparation, store, how))
    runs.write_config(folder, {})
    write(Report("r", results), folder)
    return folder


def test_two_real_runs_through_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = real(tmp_path / "runs/a", 0), real(tmp_path / "runs/b", 1)
    assert main(["compare", "runs/a", "b", "resamples=50", "flips=1", "to=found.json"]) == 0
    out = capsys.readouterr().out
    assert "a = a, b = b" in out and "macro, 4 tasks" in out
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found["tasks"]) == 4
    for entry in found["tasks"]:
        for run, side in ((a, "a"), (b, "b")):
            told = json.loads((run / "report.json").read_text())["unseen"][entry["task"]]
            assert entry[side] == pytest.approx(told["value"], abs=1e-9)
            assert entry["rows"] == told["rows"] == 16
        assert entry["wins"] + entry["losses"] + entry["ties"] == 16
    assert main(["compare", "runs/a", "runs/a", "resamples=50"]) == 0
    assert main(["compare", "runs/a"]) == 1
    assert main(["compare", "runs/a", "runs/nobody"]) == 1
