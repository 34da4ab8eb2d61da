"""The formulas of prompt learning, by hand or in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from unify_helpers import MOODS, moods, shots_of, tiny

from formats.errors import ConfigError, DataError
from formats.examples import LabelSpace, TextClassification
from unify.prompts import (
    ensemble,
    found_words,
    growth,
    kpt,
    patterns,
    pet,
    protocol,
    protoverb,
    ptr,
    shown,
    weighted,
    words,
)
from unify.prompts.cloze import Asking, Cloze

ROW = TextClassification("t/s/0", "the boat is quick", MOODS, gold="glad")

# Label words


def test_word_weights_sum_to_one_per_label() -> None:
    table = words.Words((("a", "b"), ("c",)), ((3.0, 1.0), (2.0,))).table()
    assert table.tolist() == [[0.75, 0.0], [0.25, 0.0], [0.0, 1.0]]
    scores = words.label_scores(torch.tensor([[4.0, 8.0, -1.0]]), table)
    assert scores.tolist() == [[5.0, -1.0]]


def test_token_scores() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.3, 0.5]])) + 7.0
    ids = torch.tensor([[2, 0]])
    plain = words.token_scores(logits, ids, "logit")[0].tolist()
    assert plain == pytest.approx([math.log(0.5) + 7, math.log(0.2) + 7], abs=1e-5)
    found = words.token_scores(logits, ids, "log_prob")[0].tolist()
    assert found == pytest.approx([math.log(0.5), math.log(0.2)], abs=1e-6)
    odds = words.token_scores(logits, ids, "log_odds")[0].tolist()
    assert odds == pytest.approx([0.0, math.log(0.25)], abs=1e-5)


def of_length(coder: object, tokens: int) -> str:
    """A word of so many tokens."""
    for word in ("a", "so", "dogs", "7", "77", "777", "7777", "77777"):  # digits stand alone
        if len(words.Words(((word,),)).ids(coder)[0]) == tokens:  # type: ignore[arg-type]
            return word
    raise AssertionError(f"no word of {tokens} tokens")


@pytest.mark.parametrize("tokens", [1, 2, 5])
def test_a_word_is_scored_whole(tokens: int) -> None:
    """The mean over its tokens, each from a blank of its own: against one plain pass."""
    backbone = tiny("bert", "generate")
    coder = backbone.coder
    word = of_length(coder, tokens)
    cloze = Cloze(backbone, "log_prob")
    asked = Asking(patterns.Pattern("It was {{ mask }}. {{ text }}"))
    own = words.Words(((word,), ("dogs",))).ids(coder)
    with torch.inference_mode():
        found = cloze.scores([asked(e) for e in moods(3)], own)
        for k, example in enumerate(moods(3)):
            row = patterns.slotted(asked(example), coder, tokens)
            ids = [*row.before, *[coder.layout.mask] * tokens, *row.after]
            lines = backbone.model(input_ids=torch.tensor([ids])).logits[0].double()
            at = len(row.before)
            mean = np.mean([
                float(lines[at + i].log_softmax(-1)[t]) for i, t in enumerate(own[0])
            ])
            assert len(own[0]) == tokens
            assert float(found[k, 0]) == pytest.approx(mean, abs=1e-4)


def test_a_cloze_needs_a_masked_model() -> None:
    backbone = tiny("gpt2", "generate")
    with pytest.raises(ConfigError, match="masked"):
        Cloze(backbone)


def test_manual_words() -> None:
    labels = LabelSpace(("0", "1"), ("bad", "good"))
    assert words.manual(labels).words == (("bad",), ("good",))
    assert words.manual(labels, {"1": ["good", "fine"]}).words == (("bad",), ("good", "fine"))
    with pytest.raises(ConfigError, match="not there"):
        words.manual(labels, {"2": "x"})


# PET


def test_pet_loss() -> None:
    scores, gold = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 0])
    ce = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(2))) / 2
    assert float(pet.pet_loss(scores, gold)) == pytest.approx(ce)
    assert float(pet.pet_loss(scores, gold, torch.tensor(3.0), 0.75)) == pytest.approx(
        0.75 * ce + 0.25 * 3.0
    )
    with pytest.raises(ConfigError, match="alpha"):
        pet.pet_loss(scores, gold, torch.tensor(3.0), 1.5)


def test_ensembles() -> None:
    one, two = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert ensemble.combined([one, two], "mean").tolist() == [[2.0, 0.5]]
    assert ensemble.combined([one, two], "weighted", [0.25, 0.75]).tolist() == [[1.0, 0.75]]
    assert ensemble.combined([one, two], "weighted", [0, 0]).tolist() == [[2.0, 0.5]]
    voted = ensemble.combined([one, two, two], "vote")
    assert int(voted.argmax()) == 1  # two votes against one, whatever the scores
    assert int(ensemble.combined([one, two], "vote").argmax()) == 0  # a tie: the mean decides
    assert ensemble.accuracy(torch.tensor([[1.0, 0], [1, 0]]), torch.tensor([0, 1])) == 0.5


def test_distillation_at_temperature_two() -> None:
    taught = ensemble.soft_labels(torch.tensor([[2.0, 0.0]]))
    p = 1 / (1 + math.exp(-1))
    assert taught[0].tolist() == pytest.approx([p, 1 - p])
    loss = ensemble.distillation_loss(torch.tensor([[0.0, 0.0]]), taught)
    assert float(loss) == pytest.approx(math.log(2))


# iPET


def test_teachers_are_a_quarter_of_the_others() -> None:
    draw = np.random.default_rng(0)
    for own in range(9):
        chosen = growth.teachers(9, own, draw)
        assert len(chosen) == 2 and own not in chosen
    assert growth.teachers(3, 1, draw) in ([0], [2])
    with pytest.raises(ConfigError, match="no others"):
        growth.teachers(1, 0, draw)


def test_each_generation_is_five_times_the_last() -> None:
    assert growth.sizes(10) == [50, 250, 1250]


def test_the_ratio_of_classes_is_kept() -> None:
    assert growth.shares([0, 0, 0, 1], 2, 20) == [15, 5]
    assert growth.shares([0, 1, 2], 3, 10) == [4, 3, 3]
    probabilities = np.array([[0.9, 0.1]] * 40 + [[0.2, 0.8]] * 40)
    found = growth.grown([0, 0, 0, 1], 2, probabilities, 20, np.random.default_rng(0))
    assert [y for _, y in found].count(0) == 12 and [y for _, y in found].count(1) == 4
    assert all((row < 40) == (label == 0) for row, label in found)


def test_sure_rows_are_drawn_more_often() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4]])
    draws = [growth.drawn(probabilities, [1, 0], np.random.default_rng(s))[0][0]
             for s in range(2000)]  # fmt: skip
    assert draws.count(0) / 2000 == pytest.approx(0.6, abs=0.03)  # 0.9 / (0.9 + 0.6)


# LM-BFF


def test_demonstrations_are_near_of_each_class_and_never_the_query() -> None:
    similar = np.array([0.1, 0.9, 0.5, 0.7])
    assert shown.nearest(similar, 0.5) == [1, 3]
    assert shown.nearest(similar, 0.5, exclude=1) == [3, 2]
    draw = np.random.default_rng(0)
    for _ in range(20):
        first, second = shown.one_per_class([0, 0, 1, 1], 2, similar, 0.5, draw, exclude=1)
        assert first == 0 and second == 3


def test_a_demonstration_is_filled_in() -> None:
    asked = Asking(patterns.Pattern("{{ text }} It was {{ mask }}."))
    assert "".join(shown.filled(asked, ROW, "glad")) == "the boat is quick It was glad."
    _, after = shown.behind(asked(ROW), [["dogs It was ", "sad."]])
    assert "".join(after) == ". dogs It was sad."


def test_label_words_are_found() -> None:
    """Words 0 and 3 have the highest means, but 1 and 3 part the rows."""
    p = torch.tensor([[0.50, 0.40, 0.06, 0.04], [0.50, 0.40, 0.06, 0.04],
                      [0.60, 0.05, 0.05, 0.30], [0.60, 0.05, 0.05, 0.30]])  # fmt: skip
    gold = torch.tensor([0, 0, 1, 1])
    assert found_words.candidates(p.log(), gold, 2, 2) == [[0, 1], [0, 3]]
    kept = found_words.assignments(p.log(), gold, [[0, 1], [0, 3]], 3)
    assert kept == [(1, 3), (1, 0), (0, 3)]
    # (1, 3) is right on all rows; (1, 0) on the last two, its gold words likelier than (0, 3)'s.
    assert found_words.search(p.log(), gold, 2, top=2, keep=1, dev=lambda c: 0.0) == (1, 3)
    best = found_words.search(p.log(), gold, 2, top=2, keep=3, dev=lambda c: float(c == (0, 3)))
    assert best == (0, 3)  # dev rows rank what training rows kept


@pytest.mark.parametrize("kind", ["bpe", "roberta", "wordpiece"])
def test_found_words_are_whole(kind: str) -> None:
    coder = tiny("bert", "generate", tokenizer=kind).coder
    usable = (found_words.allowed(coder.tokenizer, len(coder.tokenizer)) == 0).nonzero()[:, 0]
    own = [coder.tokenizer.decode([t]).strip() for t in usable.tolist()]
    assert len(own) > 5
    found = [words.Words(((w,),)).ids(coder)[0] for w in own]
    assert found == [(t,) for t in usable.tolist()]


# ProtoVerb


def test_instance_loss() -> None:
    vectors, gold = torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 1])
    # Each row's pair is itself: s = 1, the other class's s = 0.
    expected = -math.log(math.e / (math.e + 1))
    assert float(protoverb.instance_loss(vectors, gold)) == pytest.approx(expected)


def test_prototype_loss() -> None:
    vectors, gold = torch.tensor([[5.0, 0.0]]), torch.tensor([1])
    prototypes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    expected = -math.log(1 / (math.e + 1 + 1 / math.e))
    assert float(protoverb.prototype_loss(vectors, gold, prototypes)) == pytest.approx(expected)


def test_prototypes_are_trained_at_the_rate_of_heads(tmp_path: Path) -> None:
    """200 steps at the encoder's 1e-5 would take no number farther than 0.002."""
    shots = shots_of(tmp_path, ("dogs", "7777"), 1)
    optimization = replace(shots.budget.optimization, lr=1e-5, head_lr=1e-2)
    shots = replace(shots, budget=replace(shots.budget, optimization=optimization))
    made = protoverb.protoverb(shots, {"steps": 200}).extra
    assert isinstance(made, protoverb.Prototypes)
    torch.manual_seed(0)
    start = protoverb.Prototypes(32, 2).centres
    assert float((made.centres - start).abs().mean()) > 0.02


def test_standardised_rows() -> None:
    assert protoverb.standardised(torch.tensor([[1.0, 3.0]])).tolist() == [[-1.0, 1.0]]


# KPT and weighted words


def test_a_word_graph_is_read(tmp_path: Path) -> None:
    file = tmp_path / "graph.tsv"
    file.write_text("# related words\nglad\thappy\tmerry\nsad\tglum\nglad\tjolly\n")
    graph = kpt.read_graph(file)
    assert graph == {"glad": ("happy", "merry", "jolly"), "sad": ("glum",)}
    more = kpt.expanded(words.Words((("glad",), ("sad",))), graph, most=3)
    assert more.words == (("glad", "happy", "merry"), ("sad", "glum"))
    file.write_text("alone\n")
    with pytest.raises(DataError, match="without related"):
        kpt.read_graph(file)


def test_the_prior_is_a_mean_probability() -> None:
    table = torch.tensor([[0.1, 0.5], [0.3, 0.5]]).log()
    assert kpt.prior_of(table).exp().tolist() == pytest.approx([0.2, 0.5])
    assert kpt.frequent(torch.tensor([0.1, 0.3, 0.2, 0.05]), 0.5) == [False, True, True, False]


def test_relevance_is_over_the_other_labels() -> None:
    # Names are words 0 and 2; word 1 goes with name 0, word 3 with both alike.
    p = torch.tensor([[0.4, 0.4, 0.0, 0.2], [0.0, 0.1, 0.4, 0.2]])
    found = kpt.relevance(p, [0, 0, 1, 1], [0, 2])
    cosine = 0.4 / math.hypot(0.4, 0.1), 0.1 / math.hypot(0.4, 0.1)
    assert float(found[1]) == pytest.approx(cosine[0] / cosine[1], rel=1e-4)
    assert float(found[3]) == pytest.approx(1.0, rel=1e-4)
    kept, numbers = kpt.refined(words.Words((("a", "b"), ("c", "d"))), [False, True, False, False])
    assert kept.words == (("a", "b"), ("c",)) and numbers == [0, 1, 2]


def test_learned_weights_begin_as_given() -> None:
    own = words.Words((("a", "b"), ("c",)), ((3.0, 1.0), (2.0,)))
    made = weighted.WordWeights(own)
    assert torch.allclose(made.table(), own.table())
    with torch.no_grad():
        made.head[0] = 0.0
        made.head[1] = 0.0
    assert made.table()[:, 0].tolist() == [0.5, 0.5, 0.0]


# PTR


def test_ptr_sums_slots_and_takes_the_mean_of_their_losses() -> None:
    rules = [("person", "born", "city"), ("person", "works", "company"), ("city", "in", "city")]
    sets, numbers = ptr.slot_sets(rules)
    assert sets == [["person", "city"], ["born", "works", "in"], ["city", "company"]]
    assert numbers.tolist() == [[0, 0, 0], [0, 1, 1], [1, 2, 0]]
    slots = [torch.tensor([s]) for s in ([1.0, 0.0], [2.0, 0.0, 1.0], [0.0, 3.0])]
    assert ptr.summed(slots, numbers).tolist() == [[3.0, 4.0, 1.0]]
    local = [math.log(1 + math.exp(-1)),
             math.log(math.e**2 + 1 + math.e),
             math.log(1 + math.e**3) - 3]  # fmt: skip
    joined = math.log(math.e**3 + math.e**4 + math.e) - 4
    found = ptr.ptr_loss(slots, numbers, torch.tensor([1]))
    assert float(found) == pytest.approx(sum(local) / 3 + joined, rel=1e-5)


# Protocol


def test_the_protocol_names_its_rows_by_the_seed() -> None:
    config = {"seed": 3, "protocol": {"task": "trec", "shots": 16, "rows": None, "test": 300}}
    suite = protocol.applied(config)["suite"]
    assert suite["seen"] == ["trec@k16s3"] and suite["held_out"] and not suite["unseen"]
    assert suite["limits"] == {"test": 300}
    assert protocol.applied({"seed": 0, "suite": 1}) == {"seed": 0, "suite": 1}
    with pytest.raises(ConfigError, match="without shots"):
        protocol.applied({"seed": 0, "protocol": {"task": "trec", "shots": None}})
    with pytest.raises(ConfigError, match="no task"):
        protocol.applied({"seed": 0, "protocol": {"task": None, "shots": 4}})
