"""Which rows make up a step: a pure function of (seed, step), however the step is cut."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from unify_helpers import mood_task, tiny

from formats import Entail, Generate
from formats.collate import Batch
from formats.errors import ConfigError
from formats.features import FeatureRow
from formats.store import FeatureStore, in_memory, write
from tasks.sampling import Sampler
from unify.data import MixtureData, Preparation, TaskFeatures, prepare
from unify.data.batching import token_batches
from unify.data.module import Fixed, StepBatches, StepPlan

SIZES = (50, 7, 23)
RATES = (0.5, 0.2, 0.3)


def plan(**more: Any) -> StepPlan:
    rng = np.random.default_rng(0)
    lengths = [rng.integers(5, 90, n) for n in SIZES]
    settings = {"batch_size": 12, "bucket": 4, "parts": 1, "seed": 3, **more}
    return StepPlan(Sampler(SIZES, RATES, settings["seed"]), lengths, **settings)


def rows_of(step: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[int, int]]:
    return [(int(t), int(r)) for tasks, rows in step for t, r in zip(tasks, rows, strict=True)]


def test_a_step_is_a_function_of_its_number() -> None:
    first, second = plan(), plan()
    numbers = list(range(20))
    forwards = [rows_of(first.step(n)) for n in numbers]
    backwards = [rows_of(second.step(n)) for n in reversed(numbers)][::-1]
    assert forwards == backwards
    whole = [rows_of(step) for w in range(5) for step in first.window(w)]
    assert forwards == whole
    assert forwards != [rows_of(plan(seed=4).step(n)) for n in numbers]


def test_a_window_holds_each_of_its_draws_once() -> None:
    p = plan()
    for number in (0, 1, 7):
        tasks, rows = p.sampler.draws(number * 48, (number + 1) * 48)
        expected = Counter(zip(tasks.tolist(), rows.tolist(), strict=True))
        found = Counter(r for step in p.window(number) for r in rows_of(step))
        assert found == expected
        assert all(len(rows_of(step)) == 12 for step in p.window(number))


def test_every_row_comes_once_before_one_comes_twice() -> None:
    p = plan(batch_size=16)
    seen = Counter(r for n in range(64) for r in rows_of(p.step(n)))  # a block of the sampler
    for t, size in enumerate(SIZES):
        times = [seen[t, r] for r in range(size)]
        assert max(times) - min(times) <= 1
        assert sum(times) == pytest.approx(1024 * RATES[t], abs=1)


@pytest.mark.parametrize("parts", [1, 2, 5, 12])
def test_parts_differ_by_one_row_and_hold_the_same_step(parts: int) -> None:
    for number in range(6):
        step = plan(parts=parts).step(number)
        sizes = [len(rows) for _, rows in step]
        assert len(sizes) == parts and max(sizes) - min(sizes) <= 1
        assert Counter(rows_of(step)) == Counter(rows_of(plan().step(number)))


def test_buckets_reduce_padding() -> None:
    def padding(bucket: int) -> float:
        p = plan(bucket=bucket, batch_size=8)
        padded = real = 0
        for number in range(32):
            lengths = [p.lengths[t][r] for t, r in rows_of(p.step(number))]
            padded += max(lengths) * len(lengths)
            real += sum(lengths)
        return padded / real

    assert padding(8) < 0.85 * padding(1)


@pytest.mark.parametrize("setting", ["batch_size", "bucket", "parts"])
def test_impossible_plans(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} below one"):
        plan(**{setting: 0})
    with pytest.raises(ConfigError, match="more micro-batches than rows"):
        plan(parts=13)


# Batches


@pytest.fixture(scope="module")
def backbone() -> Any:
    return tiny("llama", "generate")


@pytest.fixture(scope="module")
def features(backbone: Any, tmp_path_factory: pytest.TempPathFactory) -> list[TaskFeatures]:
    found = []
    for name, count in (("one", 20), ("two", 9)):
        folder = tmp_path_factory.mktemp(name)
        preparation = Preparation(Generate(), backbone.coder, "data", train=True)
        found.append(TaskFeatures(name, prepare(mood_task(folder, count), preparation, folder)))
    return found


def batches(
    features: list[TaskFeatures], backbone: Any, start: int, count: int, rank: int = 0,
    world: int = 1, parts: int = 2,
) -> list[Batch]:
    p = StepPlan(
        Sampler((20, 9), (0.6, 0.4), 0), [f.store.column("length") for f in features], 8, 4,
        parts, 0,
    )
    stream = StepBatches(p, features, backbone.layout, "generate", lambda: start, rank, world)
    return list(islice(iter(stream), count))


def test_iteration_begins_at_any_step(features: list[TaskFeatures], backbone: Any) -> None:
    whole = batches(features, backbone, 0, 20)
    for start in (1, 3, 4, 7):
        rest = batches(features, backbone, start, 20 - 2 * start)
        for a, b in zip(whole[2 * start :], rest, strict=True):
            assert torch.equal(a.ids, b.ids) and np.array_equal(a.tasks, b.tasks)


def test_a_step_knows_its_whole_weight(features: list[TaskFeatures], backbone: Any) -> None:
    found = batches(features, backbone, 0, 12, parts=3)
    for at in range(0, 12, 3):
        step = found[at : at + 3]
        assert [b.step_parts for b in step] == [3, 3, 3]
        assert {b.step_weight for b in step} == {sum(b.weight for b in step)}


def test_two_ranks_share_a_step(features: list[TaskFeatures], backbone: Any) -> None:
    alone = batches(features, backbone, 0, 10)
    ranks = [batches(features, backbone, 0, 10, rank, 2) for rank in (0, 1)]
    for whole, first, second in zip(alone, *ranks, strict=True):
        ids = [tuple(r.variants.tolist()) + tuple(r.shared.tolist()) for r in whole.rows]
        shared = [
            tuple(r.variants.tolist()) + tuple(r.shared.tolist())
            for b in (first, second) for r in b.rows
        ]
        assert Counter(shared) == Counter(ids)
        assert first.step_weight == second.step_weight == whole.step_weight
        assert first.weight + second.weight == whole.weight
    # The gradients of the ranks, averaged and scaled as the learner does, are those of one.
    def gradient(parts: list[Batch]) -> list[torch.Tensor]:
        backbone.zero_grad()
        sum(backbone.loss(b) / b.step_weight for b in parts).backward()  # type: ignore[union-attr]
        return [p.grad.clone() for p in backbone.parameters()]

    for a, b in zip(
        gradient(alone[:2]), gradient([*ranks[0][:2], *ranks[1][:2]]), strict=True
    ):
        assert torch.allclose(a, b, atol=1e-6)


def test_validation_reads_every_row_once(features: list[TaskFeatures], backbone: Any) -> None:
    found = list(Fixed(features, backbone.layout, "generate", 6))
    rows = [(int(t), r.row) for b in found for t, r in zip(b.tasks, b.rows, strict=True)]
    assert sorted(rows) == [(0, i) for i in range(20)] + [(1, i) for i in range(9)]
    assert all(b.step_weight == b.weight and b.step_parts == 1 for b in found)


def test_nothing_to_train_on_is_refused(tmp_path: Path, backbone: Any) -> None:
    write(tmp_path / "none.arrow", [], {})
    nothing = TaskFeatures("none", FeatureStore(tmp_path / "none.arrow"))
    for train in ([], [nothing]):
        with pytest.raises(ConfigError, match="nothing to train on"):
            MixtureData(train, {"none": 1.0}, backbone.layout, "generate")


def test_language_models_read_entailment_as_generation(backbone: Any, tmp_path: Path) -> None:
    preparation = Preparation(Entail(), backbone.coder, "data", train=True)
    store = prepare(mood_task(tmp_path), preparation, tmp_path)
    data = MixtureData([TaskFeatures("own", store)], {"own": 1.0}, backbone.layout, "entail")
    assert data.format == "generate"
    encoder = tiny("modernbert", "entail")
    assert MixtureData(
        [TaskFeatures("own", store)], {"own": 1.0}, encoder.layout, "entail"
    ).format == "entail"


# Batches for prediction


def row(length: int, variants: int) -> Any:
    return in_memory(FeatureRow(
        0, 0, 0, [1] * length, [], [[1]] * variants, [0.0] * variants, [], [], 0, length, 0, 0
    ))


def test_token_batches_keep_their_bound_and_order() -> None:
    rng = np.random.default_rng(0)
    rows = [row(int(n), int(v)) for n, v in zip(rng.integers(4, 60, 80), rng.integers(1, 6, 80),
                                               strict=True)]
    found = list(token_batches(rows, 300))
    assert [r for b in found for r in b] == rows
    for batch in found:
        padded = max(r.length for r in batch) * sum(len(r.widths) for r in batch)
        assert padded <= 300 or len(batch) == 1
    for batch, following in pairwise(found):  # no batch could have held more
        both = [*batch, following[0]]
        assert max(r.length for r in both) * sum(len(r.widths) for r in both) > 300


def test_a_row_over_the_bound_goes_alone() -> None:
    rows = [row(10, 1), row(500, 3), row(10, 1)]
    assert [len(b) for b in token_batches(rows, 100)] == [1, 1, 1]
    assert list(token_batches([], 100)) == []
    assert [len(b) for b in token_batches([row(50, 0), row(50, 0), row(50, 0)], 100)] == [2, 1]


