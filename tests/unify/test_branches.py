"""Several queries behind demonstrations that are computed once, against each of them alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from unify_helpers import DEVICE, tiny

from formats import FORMATS
from formats.episodes import EpisodeTokens, Turn, lay, separators
from formats.errors import ConfigError
from tasks import catalogue
from tasks.sampling import Sampler
from unify.backbones import Backbone, branches
from unify.data import Preparation, TaskFeatures, prepare
from unify.data.branches import branches as parts_of
from unify.data.episode_module import batch_of
from unify.data.episodes import EpisodePlan, Episodes
from unify.data.turns import Maker, makers
from unify.learners import MetaICL

NAMES = ("mapping_000", "mapping_017")
SIZES = {"llama": {"max_position_embeddings": 256}, "gpt2": {"n_positions": 256}}


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def model(request: Any) -> Backbone:
    return tiny(request.param, "generate", spread=4.0, window=256, config=SIZES[request.param])


def maker(backbone: Backbone, **more: Any) -> Maker:
    settings = Episodes(shots=(4,), queries=3, **more)
    p = Preparation(FORMATS["generate"](), backbone.coder, "train", train=True, limit=24)
    tasks = [settings.asked(catalogue.load(n)) for n in NAMES]
    train = [TaskFeatures(t.name, prepare(t, p)) for t in tasks]
    return makers(tasks, train, backbone.coder, separators(backbone.coder), settings)


def drawn(made: Maker, size: int = 4) -> list[Any]:
    sampler = Sampler(made.sizes(), (1.0, 1.0))
    plan = EpisodePlan(sampler, made.lengths, (4,), 256, size, bucket=2, queries=3)
    return plan.step(0)[0]


@pytest.mark.parametrize("direction", ["direct", "channel"])
@pytest.mark.parametrize("symbols", ["own", "permuted"])
def test_a_query_costs_what_it_costs_alone(model: Any, direction: str, symbols: str) -> None:
    made = maker(model, direction=direction, symbols=symbols, dense=False)
    episodes = drawn(made)
    together = batch_of([made(d) for d in episodes], [0] * 4, model.coder, False)
    apart = batch_of([made(d) for d in episodes], [0] * 4, model.coder, False, apart=True)
    alone = [
        made(d._replace(query=q, more=())) for d in episodes for q in (d.query, *d.more)
    ]
    single = batch_of(alone, [0] * 12, model.coder, False)
    assert together.ids.shape[0] == 4 and apart.ids.shape[0] == single.ids.shape[0] == 12
    assert together.tokens < 0.6 * apart.tokens
    assert together.weight == apart.weight == single.weight
    with torch.inference_mode():
        found, other, expected = map(
            model.log_probabilities, (b.to(DEVICE) for b in (together, apart, single))
        )
    for mine in (found, other):
        assert torch.allclose(mine[0], expected[0], atol=1e-4)
        assert torch.equal(mine[1], expected[1])


def test_dense_targets_count_once(model: Any) -> None:
    made = maker(model, dense=True)
    planned = drawn(made)
    episodes = [made(d) for d in planned]
    together = batch_of(episodes, [0] * 4, model.coder, True)
    apart = batch_of(episodes, [0] * 4, model.coder, True, apart=True)
    first = batch_of([made(d._replace(more=())) for d in planned], [0] * 4, model.coder, True)
    others = [made(d._replace(query=q, more=())) for d in planned for q in d.more]
    more = batch_of(others, [0] * 8, model.coder, False)
    assert together.weight == apart.weight == first.weight + more.weight
    with torch.inference_mode():
        one, other = (float(model.loss(b.to(DEVICE))) for b in (together, apart))
    assert one == pytest.approx(other, rel=1e-5)


def test_gradients_are_those_of_separate_sequences(model: Any) -> None:
    made = maker(model, dense=True)
    episodes = [made(d) for d in drawn(made, 2)]
    grads = []
    for apart in (False, True):
        model.zero_grad()
        batch = batch_of(episodes, [0] * 2, model.coder, True, apart=apart)
        model.loss(batch.to(DEVICE)).backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert float((grads[0] - grads[1]).norm() / grads[1].norm()) < 1e-4


def test_queries_are_other_rows_of_the_task(model: Any) -> None:
    made = maker(model)
    for d in drawn(made):
        rows = [d.query, *d.more, *d.demonstrations]
        assert len(d.more) == 2 and len(set(rows)) == 7


def test_a_query_without_input_is_led_by_the_last_shared_token(model: Any) -> None:
    turns = [Turn([7, 8], [9]), Turn([5], [6])]
    between = separators(model.coder)
    tokens = EpisodeTokens([], turns, [], [[11]], [Turn([12], [13])])
    laid = lay(tokens, model.layout, between)
    shared, pairs = parts_of(laid)
    assert [*shared, *pairs[0][0]] == laid.context
    assert pairs[1][0] == [laid.context[-1], 12]
    assert laid.length == len(laid.context) + 1 + len(pairs[1][1])


def test_models_are_asked_whether_they_keep_queries_apart(model: Any) -> None:
    assert branches.refusal(model) is None
    assert MetaICL(model, queries=2).apart is None
    assert branches.refusal(tiny("t5", "generate")) == "the model takes no positions"
    careless = tiny("llama", "generate", window=64)
    model_of: Any = careless.model
    forward = model_of.forward
    model_of.forward = lambda attention_mask=None, **more: forward(**more)  # sees everything
    careless.__dict__["places"] = True
    assert "differed by" in str(branches.refusal(careless))


def test_models_that_cannot_are_refused() -> None:
    with pytest.raises(ConfigError, match="its source holds the query"):
        MetaICL(tiny("t5", "generate"), queries=2, dense=False)
    with pytest.raises(ConfigError, match="weighed by sequence"):
        Episodes(queries=2, weigh="sequences")
    with pytest.raises(ConfigError, match="without a query"):
        Episodes(queries=0)
