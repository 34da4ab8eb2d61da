"""Every few-shot method end to end on a tiny model, with label words of 1, 2 and 5 tokens."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from format_tokenizers import made
from unify_helpers import DEVICE, MOODS, shots_of, tiny

from formats.errors import ConfigError
from formats.examples import TextClassification
from unify.cli import main
from unify.prompts import autoprompt, found, recipes
from unify.prompts.patterns import SHOWN, shown_of
from unify.prompts.saved import Kept
from unify.prompts.shots import Shots, passes
from unify.report.methods import Methods, Shot, spread


def lengths(shots: Shots) -> set[int]:
    coder = shots.start.coder
    return {len(i) for i in coder.ids([coder.continuation(w) for w in shots.labels.words])}


SETTINGS: dict[str, dict[str, Any]] = {
    "linear_head": {},
    "pet": {"alpha": 0.9, "ensemble": "vote"},
    "ipet": {"generations": 2, "factor": 2, "ensemble": "distill"},
    "lm_bff": {"draws": 2},
    "protoverb": {"steps": 3},
    "kpt": {"support": 4},
    "weighted_words": {"verbalizers": [{"glad": ["a", "77"], "sad": ["77777"]}]},
    "ptr": {"sub_prompts": ["{{ text }} {{ mask }}."]},
    "autoprompt": {"triggers": 2, "top": 2},
    "found_template": {"length": 2, "width": 2, "rows": 2},
    "rlprompt": {"length": 2, "prompts": 2, "vocabulary": 20},
    "transprompt": {"length": 2},
}


def test_every_recipe_has_settings_here_and_a_file() -> None:
    conf = Path(__file__).parents[2] / "conf" / "learner"
    assert set(SETTINGS) == set(recipes.RECIPES)
    for name in recipes.RECIPES:
        assert (conf / f"{name}.yaml").exists()


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_method_takes_words_of_several_tokens(name: str, tmp_path: Path) -> None:
    shots = shots_of(tmp_path, ("dogs", "7777"))
    assert lengths(shots) == {1, 5}
    learned = recipes.method(name)(shots, SETTINGS[name])
    scores = learned.scores(shots.train)
    assert scores.shape == (12, 2) and bool(torch.isfinite(scores).all())
    assert float(scores.std()) > 0  # rows are told apart
    again = learned.scores(shots.train[:3])
    if name != "lm_bff":  # which draws its demonstrations anew
        assert torch.allclose(again, scores[:3], atol=1e-4)
    assert (learned.trained == 0) == (name == "autoprompt")


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_words_of_two_tokens(name: str, tmp_path: Path) -> None:
    shots = shots_of(tmp_path, ("7", "so"))
    assert 2 in lengths(shots)
    scores = recipes.method(name)(shots, SETTINGS[name]).scores(shots.train)
    assert bool(torch.isfinite(scores).all())


def test_pet_learns_what_one_word_decides(tmp_path: Path) -> None:
    shots = shots_of(tmp_path, ("dogs", "7777"), steps=60, lr=5e-3)
    one = {"patterns": ["{{ text }} {{ mask }}"], "ensemble": "best"}
    learned = recipes.method("pet")(shots, one)
    right = learned.scores(shots.train).argmax(1) == shots.gold(shots.train)
    assert float(right.float().mean()) == 1.0


@pytest.mark.parametrize("name", ["autoprompt", "rlprompt"])
def test_the_model_is_frozen(name: str, tmp_path: Path) -> None:
    shots = shots_of(tmp_path, ("dogs", "7777"))
    before = {n: x.clone() for n, x in shots.start.model.state_dict().items()}
    recipes.method(name)(shots, SETTINGS[name])
    after = shots.start.model.state_dict()
    assert all(torch.equal(x, after[n]) for n, x in before.items())


def test_found_label_words_are_single_words(tmp_path: Path) -> None:
    shots = shots_of(tmp_path, ("dogs", "7777"))
    learned = recipes.method("lm_bff")(
        shots, {"words": "found", "demonstrations": False, "top": 5, "keep": 3}
    )
    words = learned.notes[0].removeprefix("label words: ").split(", ")
    assert len(set(words)) == 2 and all(w.isalpha() for w in words)


# AutoPrompt


def test_candidates_lower_the_loss_to_first_order() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0], [3.0, 3.0]])
    gradient = torch.tensor([-1.0, -2.0])  # -e.g: 1, 4, -3, 9
    barred = torch.tensor([0.0, 0.0, 0.0, -torch.inf])
    assert autoprompt.candidates(gradient, embeddings, 2, barred) == [1, 0]


def test_a_step_keeps_only_what_is_better(tmp_path: Path) -> None:
    shots = shots_of(tmp_path, ("dogs", "7777"))
    made = autoprompt.Triggers(shots, 2, "log_odds")
    rows, gold = shots.train, shots.gold(shots.train)
    with torch.no_grad():
        start = float(torch.nn.functional.cross_entropy(made.scores(rows), gold))
    barred = torch.zeros(made.cloze.model.get_input_embeddings().weight.shape[0])
    losses = autoprompt.searched(
        made, lambda s: s % 2, 3, 3, barred, lambda: (list(rows), gold)
    )
    assert losses == sorted(losses, reverse=True) and losses[0] <= start
    gradients = made.gradients(rows, gold)
    assert gradients.shape == (2, 32) and float(gradients.abs().sum()) > 0


# Template search


def test_the_beam_keeps_the_best_sums() -> None:
    """p(0)=.6, p(1)=.4; then after 0: (.5, .5), after 1: (.9, .1): the best is (1, 0)."""
    after = {(): [0.6, 0.4], (0,): [0.5, 0.5], (1,): [0.9, 0.1]}

    def following(prefixes: list[tuple[int, ...]]) -> torch.Tensor:
        return torch.tensor([after[p] for p in prefixes]).log()

    kept = found.beam(following, 2, 2)
    assert kept[0].tokens == (1, 0)
    assert kept[0].score == pytest.approx(float(torch.tensor(0.36).log()), abs=1e-5)
    assert found.beam(following, 2, 1)[0].tokens in ((0, 0), (0, 1))  # a greedy one misses it


def test_the_search_reads_both_texts(tmp_path: Path) -> None:
    shots = shots_of(tmp_path, ("dogs", "7777"))
    pairs = [TextClassification("t/s/0", "so", MOODS, text_b=b) for b in ("a dog", "a boat")]
    one, two = (
        found.own_writer(shots, [(shown_of(pair), "dogs")], 2).following([()]) for pair in pairs
    )
    assert not torch.allclose(one, two, atol=1e-3)


def test_a_t5_fills_in_too() -> None:
    model = tiny("t5", "generate").model
    following = found.t5_following(model, [[5, 6, 7], [8, 9]], [0])
    table = following([(4,), (5,)])
    begun = torch.tensor([[0, 4]], device=DEVICE)
    with torch.inference_mode():
        one = model(input_ids=torch.tensor([[5, 6, 7]], device=DEVICE),
                    decoder_input_ids=begun).logits[0, -1].log_softmax(-1).cpu()
        two = model(input_ids=torch.tensor([[8, 9]], device=DEVICE),
                    decoder_input_ids=begun).logits[0, -1].log_softmax(-1).cpu()
    assert torch.allclose(table[0], one + two, atol=1e-4)


def test_a_t5_writes_the_template_of_a_masked_model(tmp_path: Path) -> None:
    tokenizer = copy.deepcopy(made("bpe"))
    with pytest.raises(ConfigError, match="sentinels"):
        tokenizer.save_pretrained(tmp_path / "plain")
        found.t5_writer(str(tmp_path / "plain"), [])
    writer = tiny("t5", "generate").model
    tokenizer.add_tokens(list(found.SENTINELS))
    writer.resize_token_embeddings(len(tokenizer))
    for part in (tokenizer, writer):
        part.save_pretrained(tmp_path / "t5")
    shots = shots_of(tmp_path, ("dogs", "7777"))
    asked = {"length": 2, "width": 2, "rows": 2, "writer": str(tmp_path / "t5")}
    learned = recipes.method("found_template")(shots, asked)
    template = learned.notes[0].removeprefix("template: ")
    assert isinstance(learned.again, Kept)
    assert learned.again.pattern == f"{SHOWN} {template} {{{{ mask }}}}"
    rows = [("dogs and boats", "dogs"), ("so", "7777")]
    barred = found.t5_writer(asked["writer"], rows).barred
    sentinels = [tokenizer.get_vocab()[s] for s in found.SENTINELS]
    assert template and "extra_id" not in template
    assert all(barred[k] == -torch.inf for k in sentinels) and float(barred.max()) == 0


# The protocol


def test_passes_meet_every_row() -> None:
    stream = passes(5, 2, 0)
    first = [next(stream) for _ in range(3)]
    assert sorted(k for rows in first for k in rows) == [0, 1, 2, 3, 4]
    assert first != [next(stream) for _ in range(3)]


def test_mean_and_sample_deviation() -> None:
    assert spread([0.5, 0.7]) == pytest.approx((0.6, 0.141421), abs=1e-5)
    assert spread([0.5]) == (0.5, None)
    runs = [Shot("pet", "trec", 16, s, "accuracy", 0.5, 500, 10, 1.0) for s in (0, 1)]
    runs.append(Shot("efl", "trec", 16, 0, "accuracy", 0.4, 500, 10, 1.0))
    assert Methods(runs).uneven() == ["efl on trec, 16 per label: 1 of 2 seeds"]


def test_methods_by_tasks_from_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    common = ["task=sample_trade_goods", "shots=4", "trainer.max_steps=1", "data=mixture",
              "data.batch_size=4", "protocol.test=8", "model=tiny_bert", "model.window=96",
              "trainer.val_check_interval=null", "evaluation.resamples=10", "report.examples=0",
              "format=generate", "trainer.threads=1"]  # fmt: skip
    assert main(["train", "-m", "learner=linear_head,finetune", "seed=0,1", "name=few",
                 *common]) == 0  # fmt: skip
    out, err = capsys.readouterr()
    assert "sample_trade_goods, 4 per label: seeds 0, 1; 8 test rows" in out, err
    assert "linear_head" in out and "finetune" in out and "±" in out
    told = json.loads((tmp_path / "runs" / "few" / "methods.json").read_text())
    assert [c["seeds"] for c in told["cells"]] == [[0, 1], [0, 1]]
    rows = set()
    for run in sorted((tmp_path / "runs" / "few").glob("[0-9]")):
        config = yaml.safe_load((run / "config.yaml").read_text())
        assert config["suite"]["seen"] == [f"sample_trade_goods@k4s{config['seed']}"]
        facts = json.loads((run / "run.json").read_text())
        rows.add((config["seed"], *facts["data"].items()))
    assert len(rows) == 2  # the same rows for every method, others for every seed
    assert main(["table", "runs/few"]) == 0
    assert "4 per label" in capsys.readouterr().out


def test_a_protocol_without_shots_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "learner=pet", "task=sample_trade_goods", "name=x"]) == 1
    assert "without shots" in capsys.readouterr().err


def test_a_device_that_is_not_used_is_refused() -> None:
    for setting, match in (({"devices": 2}, "one process"), ({"precision": "16-mixed"}, "single"),
                           ({"accelerator": "tpu"}, "no such device")):  # fmt: skip
        with pytest.raises(ConfigError, match=match):
            recipes.one_device({"accelerator": "cpu", "devices": 1, **setting})
    there = {"accelerator": "cpu", "devices": 1, "precision": "bf16-mixed"}
    assert recipes.one_device(there) == (torch.device("cpu"), True)


def test_open_tasks_are_refused_with_the_reason(tmp_path: Path) -> None:
    from tasks import catalogue

    assert "closed set" in str(recipes.refusal(catalogue.load("sample_mining_who")))
    assert recipes.refusal(catalogue.load("sample_trade_goods")) is None


def test_distillation_needs_unlabelled_rows(tmp_path: Path) -> None:
    shots = dataclasses.replace(shots_of(tmp_path, ("dogs", "7777"), 1), unlabelled=[])
    with pytest.raises(ConfigError, match="unlabelled"):
        recipes.method("pet")(shots, {"ensemble": "distill", "patterns": ["{{ text }} {{ mask }}"]})
