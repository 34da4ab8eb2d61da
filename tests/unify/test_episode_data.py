"""Episodes as steps: drawn as a pure function of (seed, step), made as announced."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from unify_helpers import tiny

from formats import FORMATS
from formats.episodes import Turn, separators
from formats.errors import ConfigError
from tasks import catalogue
from tasks.sampling import Sampler
from unify.backbones import Backbone
from unify.build import build_loggers, build_trainer
from unify.callbacks import Randomness
from unify.data import Preparation, TaskFeatures, prepare
from unify.data.episode_module import EpisodeBatches, EpisodeData
from unify.data.episodes import EpisodePlan, Episodes, demonstrate
from unify.data.shots import EpisodeRows, drawn, together
from unify.data.turns import Maker, makers
from unify.learners import MetaICL, Optimization
from unify.quiet import quiet

quiet()
NAMES = ("mapping_000", "mapping_017", "mapping_303")


def plan(**more: Any) -> EpisodePlan:
    lengths = [np.arange(5, 5 + n) for n in (40, 6, 3)]
    settings: dict[str, Any] = {"batch_size": 6, "bucket": 4, "seed": 3, **more}
    sampler = Sampler((40, 6, 3), (0.5, 0.3, 0.2), settings["seed"])
    return EpisodePlan(sampler, lengths, settings.pop("shots", (5,)), 900, **settings)


def test_a_step_is_a_function_of_its_number() -> None:
    forwards = [plan().step(n) for n in range(12)]
    backwards = [plan().step(n) for n in reversed(range(12))][::-1]
    assert forwards == backwards
    assert forwards != [plan(seed=4).step(n) for n in range(12)]
    # Cutting a step in parts changes neither its episodes nor their seeds.
    for whole, parts in zip(forwards, (plan(parts=3).step(n) for n in range(12)), strict=True):
        assert len(parts) == 3
        assert sorted(d.seed for p in parts for d in p) == sorted(d.seed for d in whole[0])


def test_demonstrations_are_others_of_the_same_task_and_as_many_as_there_are() -> None:
    for n in range(12):
        for d in plan().step(n)[0]:
            size = (40, 6, 3)[d.task]
            assert len(set(d.demonstrations)) == len(d.demonstrations) == min(5, size - 1)
            assert d.query not in d.demonstrations
            assert all(0 <= r < size for r in d.demonstrations)


def test_demonstrations_are_drawn_evenly() -> None:
    draws = np.arange(6000)
    rows = demonstrate(1, draws, draws % 7, np.full(6000, 7), 3)
    shape = [Counter(rows[draws % 7 == q].ravel().tolist()) for q in range(7)]
    for q, counts in enumerate(shape):
        assert set(counts) == set(range(7)) - {q}
        assert min(counts.values()) > 0.8 * 3 * 6000 / 7 / 6


def test_numbers_of_shots_are_mixed() -> None:
    steps = (plan(shots=(0, 4)).step(n)[0] for n in range(40))
    found = Counter(len(d.demonstrations) for step in steps for d in step if d.task == 0)
    assert set(found) == {0, 4} and min(found.values()) > 0.3 * sum(found.values())


def prepared(backbone: Backbone, settings: Episodes, train: bool = True) -> tuple[Any, Any]:
    preparation = Preparation(FORMATS["generate"](), backbone.coder, "train", train=train, limit=24)
    tasks = [settings.asked(catalogue.load(n)) for n in NAMES]
    return tasks, [TaskFeatures(t.name, prepare(t, preparation)) for t in tasks]


def maker(backbone: Backbone, **more: Any) -> Maker:
    settings = Episodes(shots=(4,), **more)
    tasks, train = prepared(backbone, settings)
    return makers(tasks, train, backbone.coder, separators(backbone.coder), settings)


def batches(backbone: Backbone, count: int = 1, **more: Any) -> list[Any]:
    made = maker(backbone, **more)
    sizes = tuple(len(t.rows) for t in made.turns)
    lengths = [t.lengths for t in made.turns]
    steps = EpisodePlan(Sampler(sizes, (1.0, 1.0, 1.0)), lengths, (4,), 96, 6, bucket=2)
    found = iter(EpisodeBatches(steps, made, lambda: 0))
    return [next(found) for _ in range(count)]


@pytest.fixture(scope="module")
def llama() -> Backbone:
    return tiny("llama", "generate", window=256, config={"max_position_embeddings": 256})


@pytest.mark.parametrize("dense", [False, True])
def test_targets_are_the_outputs(llama: Backbone, dense: bool) -> None:
    (batch,) = batches(llama, dense=dense)
    for t, ids, target in zip(batch.tasks, batch.ids, batch.target, strict=True):
        words = catalogue.load(NAMES[t]).labels.words  # type: ignore[union-attr]
        said = llama.coder.tokenizer.decode(target[target != -100].tolist())
        assert said.endswith("</s>")
        listed = said.removesuffix("</s>").split()
        assert len(listed) == (5 if dense else 1) and set(listed) <= set(words)
        assert (ids[target != -100] == target[target != -100]).all()
    assert batch.weight == batch.step_weight == float((batch.target != -100).sum())


def test_dense_targets_ask_for_what_each_shorter_episode_asks_for(llama: Backbone) -> None:
    """The loss on demonstration j equals the loss on it as the query of the first j."""
    made = maker(llama, dense=True)
    own = made.turns[0]
    from formats.episodes import EpisodeTokens, lay

    turns = [own.turn(r) for r in range(3)]
    layout = llama.layout

    def total(laid: Any, spans: list[tuple[int, int]]) -> float:
        ids = torch.tensor([[*laid.context, *laid.pairs[0][0], *laid.pairs[0][1]]])
        logp = llama.model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        own = logp.gather(1, ids[0, 1:, None])[:, 0]
        return float(sum(own[a - 1 : b - 1].sum() for a, b in spans))

    whole = lay(
        EpisodeTokens([], turns[:2], turns[2].input, [turns[2].output]), layout, made.between
    )
    short = lay(
        EpisodeTokens([], turns[:1], turns[1].input, [turns[1].output]), layout, made.between
    )
    start = len(short.context) + len(short.pairs[0][0])
    alone = total(short, [(start, start + len(turns[1].output))])
    assert whole.dense[1][1] - whole.dense[1][0] == len(turns[1].output)
    with torch.inference_mode():
        assert total(whole, [whole.dense[1]]) == pytest.approx(alone, abs=1e-4)


def words_said(llama: Backbone, batch: Any, number: int) -> list[str]:
    target = batch.target[number]
    said = llama.coder.tokenizer.decode(target[target != -100].tolist())
    return list(said.removesuffix("</s>").split())


def test_symbols_are_dealt_out_anew_in_every_episode(llama: Backbone) -> None:
    (own,), (permuted,), (random,) = (
        batches(llama, symbols=s) for s in ("own", "permuted", "random")
    )
    pool = {w for n in NAMES for w in catalogue.load(n).labels.words}  # type: ignore[union-attr]
    changed = 0
    for k, t in enumerate(own.tasks):
        true = words_said(llama, own, k)
        words = set(catalogue.load(NAMES[t]).labels.words)  # type: ignore[union-attr]
        for other, allowed in ((permuted, words), (random, pool)):
            said = words_said(llama, other, k)
            assert set(said) <= allowed
            # One word stands for one label throughout an episode.
            assert len(set(zip(true, said, strict=True))) == len(set(true)) == len(set(said))
            changed += said != true
    assert changed > 3


def test_impossible_settings_are_refused(llama: Backbone) -> None:
    with pytest.raises(ConfigError, match="unknown symbols"):
        Episodes(symbols="odd")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="list the true ones"):
        Episodes(symbols="random", style="prompt")
    with pytest.raises(ConfigError, match="no number of shots"):
        Episodes(shots=(-1,))
    with pytest.raises(ConfigError, match="kind masked"):
        MetaICL(tiny("bert", "generate"))
    with pytest.raises(ConfigError, match="dense targets"):
        MetaICL(tiny("t5", "generate"))
    with pytest.raises(ConfigError, match="without a row"):
        maker(llama, budget=10)


def run(folder: Path, steps: int, resume: str | None = None, **more: Any) -> Any:
    architecture = more.pop("architecture", "llama")
    parts = more.pop("parts", 1)
    backbone = tiny(architecture, "generate", spread=1.0, window=256,
                    config={"max_position_embeddings": 256} if architecture == "llama" else {})
    optimization = Optimization(lr=3e-3, schedule="constant", warmup=0.0)
    learner = MetaICL(backbone, optimization, shots=4, **more)
    tasks, train = prepared(backbone, learner.episodes)
    rates = dict.fromkeys(NAMES, 1 / 3)
    data = learner.data(tasks, train, rates, FORMATS["generate"](), validation=train[:1],
                        batch_size=6, bucket=2, parts=parts)
    pl.seed_everything(0, workers=True, verbose=False)
    trainer = build_trainer(
        {"accelerator": "cpu", "devices": 1, "precision": "32-true", "max_steps": steps,
         "val_check_interval": None, "gradient_clip_val": 1.0, "early_stopping": None,
         "checkpoint_every": 2, "threads": None},
        folder, build_loggers({"csv": False, "tensorboard": False}, folder), [Randomness()], parts,
    )
    backbone.train()
    trainer.fit(learner, datamodule=data, ckpt_path=resume, weights_only=True)
    return learner, data


def weights(learner: MetaICL) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learner.backbone.parameters()])


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "a", 4)
    run(tmp_path / "b", 2)
    again, _ = run(tmp_path / "c", 4, resume=str(tmp_path / "b" / "checkpoints" / "step-2.ckpt"))
    assert torch.equal(weights(whole), weights(again))
    assert whole.counts == again.counts and whole.counts["episodes"] == 24
    (note,) = whole.notes()
    assert note["notes"][0].startswith("24 episodes of ")
    parts, _ = run(tmp_path / "d", 4, parts=3)
    assert torch.allclose(weights(whole), weights(parts), atol=1e-5)


def test_seq2seq_learns_from_episodes_too(tmp_path: Path) -> None:
    learner, data = run(tmp_path, 2, architecture="t5", dense=False)
    assert learner.counts["episodes"] == 12
    assert isinstance(data, EpisodeData)
    held = list(data.val_dataloader())
    assert sum(len(b.rows) for b in held) == 24
    assert torch.isfinite(learner.backbone.loss(held[0]))


def test_channel_predicts_inputs(llama: Backbone) -> None:
    (batch,) = batches(llama, direction="channel", dense=False)
    task = catalogue.load(NAMES[int(batch.tasks[0])])
    texts = {e.text for e in task.examples("train")}  # type: ignore[union-attr]
    assert " ".join(words_said(llama, batch, 0)) in texts


def test_evaluation_rows_stand_behind_fixed_demonstrations(llama: Backbone) -> None:
    made = maker(llama)
    own = made.turns[0]
    gold, again = drawn(own, 6, 0), drawn(own, 6, 0)
    assert gold == again != drawn(own, 6, 1)
    mixed = drawn(own, 6, 0, shuffled=True)
    assert [t.input for t in mixed] == [t.input for t in gold]
    assert sorted(t.output for t in mixed) == sorted(t.output for t in gold)
    assert len(drawn(own, 99, 0)) == len(own.rows)

    _, train = prepared(llama, Episodes(), train=False)
    rows = EpisodeRows(train[0].store, gold, [], llama.coder)
    assert len(rows) == len(train[0].store) == 24
    first = llama.coder.tokenizer.decode(rows[0].shared.tolist())
    assert first.startswith(llama.coder.tokenizer.decode([*gold[0].input, *gold[0].output]))
    assert rows[0].candidates == 3 and rows[0].row == 0
    small = EpisodeRows(train[0].store, gold, [], llama.coder, budget=40)
    assert small[0].length <= 41 and small.facts["dropped_demonstrations"] > 0


def test_channel_rows_are_one_per_option_and_joined_again(llama: Backbone) -> None:
    made = maker(llama)
    _, train = prepared(llama, Episodes(), train=False)
    rows = EpisodeRows(
        train[0].store, drawn(made.turns[0], 2, 0), [], llama.coder, direction="channel"
    )
    assert len(rows) == 3 * 24
    parts = [rows[i] for i in range(3)]
    assert [(p.row, p.instance) for p in parts] == [(0, 0), (0, 1), (0, 2)]
    with torch.inference_mode():
        raws = [p.raw for p in llama.predict(parts)]
    (joined,) = together(raws)
    assert len(joined.values) == 3 and len(set(joined.values)) == 3  # type: ignore[union-attr]


def test_turns_of_a_cut_row_are_left_out(llama: Backbone) -> None:
    made = maker(llama)
    assert made.turns[0].left_out == 0
    assert isinstance(made.turns[0].turn(0), Turn)
    lengths = made.turns[0].store.column("length")
    short = maker(llama, budget=int(np.median(lengths)) + 8)
    assert 0 < short.turns[0].left_out < 24


def test_few_turns_stay_in_memory_however_many_are_read(
    llama: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = maker(llama).turns[0]
    monkeypatch.setattr("unify.data.turns.share", lambda tasks: 3)
    few = maker(llama).turns[0]
    count = len(few.rows)
    assert count > 6
    for _ in range(2):
        assert [few.turn(r) for r in range(count)] == [many.turn(r) for r in range(count)]
    assert few._turn.cache_info().currsize == 3
    assert many._turn.cache_info().currsize == count
