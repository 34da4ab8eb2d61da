"""format.compat=metaicl: batches and scores are those of the published layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import tiny

from formats import Generate
from formats.errors import ConfigError
from formats.instances import Scores
from formats.metaicl import Row, context, requests, training
from tasks import catalogue
from unify.backbones import Backbone
from unify.data import Preparation, TaskFeatures, prepare
from unify.data.compat import FREE, CompatRows, Texts, demonstrated, encoder
from unify.data.episode_module import EpisodeBatches
from unify.data.episodes import Episodes
from unify.data.shots import together
from unify.learners import MetaICL
from unify.ranking import Ranking

NAMES = ("mapping_000", "mapping_001")
COMPAT = Generate(compat="metaicl")


@pytest.fixture(scope="module")
def gpt() -> Backbone:
    return tiny("gpt2", "generate", tokenizer="gpt", window=256, config={"n_positions": 256})


def prepared(backbone: Backbone, train: bool) -> tuple[Any, Any]:
    tasks = [Episodes().asked(catalogue.load(n)) for n in NAMES]
    p = Preparation(COMPAT, backbone.coder, "train", train=train, limit=12)
    return tasks, [TaskFeatures(t.name, prepare(t, p)) for t in tasks]


def rows_of(task: Any) -> list[Row]:
    return [
        Row(e.text, e.labels.word(e.gold), e.labels.words) for e in task.examples("train", limit=12)
    ]


def mean_loss(backbone: Backbone, given: list[int], scored: list[int]) -> float:
    """As published: the mean over the scored tokens, padded on the right."""
    ids = torch.tensor([given + scored + [0] * 7])
    mask = torch.tensor([[1] * len(given + scored) + [0] * 7])
    logits = backbone.model(input_ids=ids, attention_mask=mask).logits[0, :-1]
    losses = -logits.log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    return float(losses[len(given) - 1 : len(given) + len(scored) - 1].mean())


@pytest.mark.parametrize("direction", ["direct", "channel"])
def test_training_sequences_and_their_loss(gpt: Backbone, direction: Any) -> None:
    learner = MetaICL(gpt, shots=3, dense=False, direction=direction, weigh="sequences")
    tasks, train = prepared(gpt, train=True)
    rates = dict.fromkeys(NAMES, 0.5)
    data = learner.data(tasks, train, rates, COMPAT, batch_size=4, bucket=1)
    (drawn,) = data.plan.step(0)  # type: ignore[attr-defined]
    batch = next(iter(EpisodeBatches(data.plan, data.maker, lambda: 0)))  # type: ignore[attr-defined]
    encode, wanted = encoder(gpt.coder), []
    for k, d in enumerate(drawn):
        rows = rows_of(tasks[d.task])
        given, scored = training([rows[r] for r in (*d.demonstrations, d.query)], encode, direction)
        assert batch.ids[k][batch.mask[k] > 0].tolist() == given + scored
        assert batch.target[k][batch.target[k] != -100].tolist() == scored
        wanted.append((given, scored))
    assert batch.weight == batch.step_weight == 4
    with torch.inference_mode():
        losses = [mean_loss(gpt, *pair) for pair in wanted]
        assert float(learner.summed(batch)) / 4 == pytest.approx(sum(losses) / 4, abs=1e-4)


@pytest.mark.parametrize("direction", ["direct", "channel"])
def test_options_and_their_scores(gpt: Backbone, direction: Any) -> None:
    settings = Episodes(shots=(3,), dense=False, direction=direction)
    tasks, held = prepared(gpt, train=False)
    texts = Texts(tasks[0], "train", COMPAT)
    rows = rows_of(tasks[0])
    shown = demonstrated(texts, [4, 2, 7], gpt.coder, settings, None)
    encode = encoder(gpt.coder)
    assert shown == context([rows[4], rows[2], rows[7]], encode, direction)
    mixed = demonstrated(texts, [4, 2, 7], gpt.coder, settings, "seed")
    assert len(mixed) > 0 and mixed != [] and isinstance(mixed[0], int)

    made = CompatRows(held[0].store, texts, shown, gpt.coder, settings)
    assert len(made) == 36
    with torch.inference_mode():
        (found,) = together([p.raw for p in gpt.predict([made[i] for i in range(3)])])
        wanted = [
            -mean_loss(gpt, *pair) for pair in requests(rows[0], shown, encode, direction)
        ]
    assert isinstance(found, Scores)
    assert found.values == pytest.approx(wanted, abs=1e-4)


def test_what_the_published_code_has_no_counterpart_for_is_refused(gpt: Backbone) -> None:
    tasks, train = prepared(gpt, train=True)
    rates = dict.fromkeys(NAMES, 0.5)
    with pytest.raises(ConfigError, match="no dense targets"):
        MetaICL(gpt, shots=3).data(tasks, train, rates, COMPAT)
    framed = tiny("llama", "generate")
    with pytest.raises(ConfigError, match="signs of its own"):
        MetaICL(framed, shots=3, dense=False).data(tasks, train, rates, COMPAT)
    with pytest.raises(ConfigError, match="unknown compat"):
        Generate(compat="odd")


def test_the_format_setting_is_read_from_the_configuration(tmp_path: Path) -> None:
    from unify.build import build_format
    from unify.config import compose

    config = compose("train", ["name=x", "format=generate", "format.compat=metaicl"])
    assert build_format(config["format"]) == COMPAT


def test_an_empty_input_stands_in_for_the_rows_own(gpt: Backbone) -> None:
    """The published calibration subtracts an option's loss after the input N/A."""
    settings = Episodes(shots=(3,), dense=False)
    tasks, held = prepared(gpt, train=False)
    texts = Texts(tasks[0], "train", COMPAT)
    rows = rows_of(tasks[0])
    shown = demonstrated(texts, [4, 2, 7], gpt.coder, settings, None)
    free = CompatRows(held[0].store, texts, shown, gpt.coder, settings, FREE)
    own = CompatRows(held[0].store, texts, shown, gpt.coder, settings)
    said = Row("N/A", rows[1].output, rows[1].options)
    wanted = [
        -mean_loss(gpt, *pair) for pair in requests(said, shown, encoder(gpt.coder), "direct")
    ]
    with torch.inference_mode():
        scores = []
        for made in (free, own):
            (found,) = together([p.raw for p in gpt.predict([made[i] for i in range(3, 6)])])
            assert isinstance(found, Scores)
            scores.append(found)
    assert scores[0].values == pytest.approx(wanted, abs=1e-4)
    corrected = Ranking(calibrate="contextual").corrected(scores[1], [scores[0]])
    assert isinstance(corrected, Scores)
    less = [a - b for a, b in zip(scores[1].values, scores[0].values, strict=True)]
    gaps = [c - d for c, d in zip(corrected.values, less, strict=True)]
    assert max(gaps) - min(gaps) < 1e-5  # the same ranking: a constant apart
