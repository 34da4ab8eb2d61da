"""Span heads: relative positions, types, what `spans` and `at` read off the scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from unify_helpers import DEVICE, encoded, stored, tiny

from formats.collate import Batch, collate
from formats.errors import ConfigError
from formats.examples import LabelSpace, Span, TextClassification
from formats.extract import Extract
from formats.instances import ExtractInstance, Scores, Spans
from formats.prompts import default_prompt
from tasks import catalogue
from unify.backbones import load, save
from unify.backbones.global_pointer import GlobalPointerHead, rotate
from unify.backbones.losses import multilabel_loss
from unify.backbones.span import LOWEST, StartEndHead


def batch_over(inside: list[list[bool]]) -> Batch:
    mask = torch.tensor(inside)
    empty = torch.zeros(0, dtype=torch.long)
    return Batch(empty, empty, empty, empty, empty, 0.0, inside=mask)


# Rotation


def test_rotation_at_zero_is_nothing_and_by_hand_at_one() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).expand(1, 2, 1, 4)
    turned = rotate(x)[0, :, 0]
    assert torch.equal(turned[0], x[0, 0, 0])
    # Rates of a size of four: 1 and 10000^-0.5 = 0.01.
    c, s = torch.cos(torch.tensor([1.0, 0.01])), torch.sin(torch.tensor([1.0, 0.01]))
    expected = [c[0] - 2 * s[0], 2 * c[0] + s[0], 3 * c[1] - 4 * s[1], 4 * c[1] + 3 * s[1]]
    assert turned[1].tolist() == pytest.approx([float(e) for e in expected], rel=1e-6)


def test_a_rotated_product_depends_on_the_distance_alone() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 16).double()
    length = 40
    q, k = rotate(q.expand(1, length, 1, 16)), rotate(k.expand(1, length, 1, 16))
    scores = torch.einsum("nitd,njtd->ntij", q, k)[0, 0]
    for distance in (-7, 0, 1, 13):
        line = scores.diagonal(distance)
        assert torch.allclose(line, line[0].expand_as(line), atol=1e-4)
    assert not torch.allclose(scores[0, 1], scores[0, 5], atol=1e-3)


def test_pointer_scores_move_with_their_text() -> None:
    torch.manual_seed(0)
    head = GlobalPointerHead(8, types=3, size=16)
    hidden = torch.randn(1, 6, 8)
    moved = torch.cat([torch.zeros(1, 4, 8), hidden], 1)
    assert torch.allclose(head(hidden), head(moved)[:, :, 4:, 4:], atol=1e-4)


# Global pointer


def test_the_pointer_finds_what_its_scores_say() -> None:
    torch.manual_seed(1)
    head = GlobalPointerHead(8, types=2, size=16)
    hidden = torch.randn(2, 7, 8)
    inside = [[2 <= i <= 5 for i in range(7)], [1 <= i <= 2 for i in range(7)]]
    found = head.spans(hidden, batch_over(inside), 5, 3)
    scores = head(hidden)
    for k in range(2):
        legal = {
            (s, e, t): scores[k, t, s, e].item()
            for s in range(7) for e in range(s, min(7, s + 3)) for t in range(2)
            if inside[k][s] and inside[k][e]
        }
        best = sorted(legal.items(), key=lambda x: -x[1])[:5]
        assert [(s, e, t) for s, e, _, t in found[k]] == [place for place, _ in best]
        assert [v for _, _, v, _ in found[k]] == pytest.approx([v for _, v in best])


def test_the_pointer_reads_candidates_as_type_zero() -> None:
    torch.manual_seed(1)
    head = GlobalPointerHead(8, types=2, size=16)
    hidden = torch.randn(2, 5, 8)
    spans = torch.tensor([[0, 1, 3], [1, 2, 2]])
    scores = head(hidden)
    assert head.at(hidden, spans).tolist() == [
        scores[0, 0, 1, 3].item(), scores[1, 0, 2, 2].item()
    ]
    assert head.at(hidden, spans[:0]).shape == (0,)


def test_the_pointers_loss_is_one_set_per_type() -> None:
    backbone = tiny("modernbert", "extract", "global_pointer", types=2, size=8)
    text = "Ann saw Bob"
    gold = (Span(0, 3, "person"), Span(8, 11, "place"))
    rows = stored(backbone, [ExtractInstance("Which?", text, gold, types=("person", "place"))])
    batch = collate(rows, backbone.layout, "extract")
    with torch.inference_mode():
        hidden = backbone.hidden(batch)  # type: ignore[operator]
        scores = backbone.head(hidden)[0]  # type: ignore[operator]
        loss = backbone.loss(batch)
    assert batch.inside is not None and batch.spans is not None
    places = [i for i, ok in enumerate(batch.inside[0].tolist()) if ok]
    legal = [(s, e) for s in places for e in places if s <= e]
    expected = 0.0
    for kind in range(2):
        right = {(s, e) for _, s, e, t in batch.spans.tolist() if t == kind}
        assert len(right) == 1
        values = torch.stack([scores[kind, s, e] for s, e in legal])
        expected += multilabel_loss(
            values, torch.tensor([p in right for p in legal], device=DEVICE)
        ).item()
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_one_pass_answers_carry_their_types() -> None:
    backbone = tiny("modernbert", "extract", "global_pointer", types=2, size=8, most=6)
    rows = stored(backbone, [ExtractInstance("Which?", "Ann saw Bob", (), types=("a", "b"))])
    with torch.inference_mode():
        (partial,) = backbone.predict(rows)
    assert isinstance(partial.raw, Spans) and len(partial.raw.spans) == 6
    assert {s.type for s in partial.raw.spans} == {0, 1}


# Efficient global pointer


def test_efficient_scores_by_hand() -> None:
    """``rope(q_i) . rope(k_j) / sqrt(size) + w . [q_i; k_i; q_j; k_j] / 2``, in float64."""
    torch.manual_seed(0)
    size, length, types = 4, 5, 3
    head = GlobalPointerHead(6, types=types, size=size, efficient=True)
    hidden = torch.randn(2, length, 6)
    weight, bias, kinds = (p.detach().double().numpy() for p in head.parameters())
    both = hidden.double().numpy() @ weight.T + bias
    q, k = both[..., :size], both[..., size:]

    def turned(x: np.ndarray, at: int) -> np.ndarray:
        """Each pair of ``x [size]`` as a complex number, turned by its position."""
        pairs = (x[::2] + 1j * x[1::2]) * np.exp(1j * at * np.array([1.0, 0.01]))
        return np.stack([pairs.real, pairs.imag], -1).reshape(-1)

    expected = np.zeros((2, types, length, length))
    for n, t, i, j in np.ndindex(expected.shape):
        w = np.concatenate([kinds[t], kinds[types + t]])
        ends = np.concatenate([q[n, i], k[n, i], q[n, j], k[n, j]])
        found = turned(q[n, i], i) @ turned(k[n, j], j) / 2.0  # sqrt(4)
        expected[n, t, i, j] = found + w @ ends / 2
    np.testing.assert_allclose(head(hidden).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_type_more_costs_four_sizes() -> None:
    def parameters(types: int, efficient: bool) -> int:
        head = GlobalPointerHead(32, types=types, size=8, efficient=efficient)
        return sum(p.numel() for p in head.parameters())

    assert parameters(1, True) == 32 * 16 + 16 + 32
    assert parameters(9, True) - parameters(8, True) == 4 * 8
    assert parameters(9, False) - parameters(8, False) == 16 * 32 + 16


def test_efficient_scores_move_with_their_text() -> None:
    torch.manual_seed(0)
    head = GlobalPointerHead(8, types=3, size=16, efficient=True)
    hidden = torch.randn(1, 6, 8)
    moved = torch.cat([torch.zeros(1, 4, 8), hidden], 1)
    assert torch.allclose(head(hidden), head(moved)[:, :, 4:, 4:], atol=1e-4)


@pytest.mark.parametrize("efficient", [False, True])
def test_the_pointer_learns_the_types_of_a_task(efficient: bool) -> None:
    task = catalogue.load("sample_trade_kinds")
    examples = [e for e in task.examples("train", limit=24) if e.gold][:6]
    types = examples[0].types.names  # type: ignore[union-attr]
    format = Extract(one_pass=True)
    backbone = tiny("bert", "extract", "global_pointer", spread=1.0, window=192,
                    config={"max_position_embeddings": 192}, types=len(types), size=16,
                    efficient=efficient)  # fmt: skip
    batch = collate(encoded(backbone, format, *examples, train=True), backbone.layout, "extract")
    optimizer = torch.optim.Adam(backbone.parameters(), lr=5e-3)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = backbone.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    with torch.inference_mode():
        raws = [p.raw for p in backbone.predict(encoded(backbone, format, *examples))]
    answers = [
        format.decode(e, default_prompt("tag"), [raw])
        for e, raw in zip(examples, raws, strict=True)
    ]
    assert answers == [e.gold for e in examples]
    assert len({s.type for answer in answers for s in answer}) > 1  # type: ignore[union-attr]


def test_a_saved_efficient_head_is_one_again(tmp_path: Path) -> None:
    backbone = tiny("bert", "extract", "global_pointer", types=2, size=8, efficient=True)
    save(backbone, tmp_path)
    again = load(tmp_path).to(DEVICE).eval()
    assert again.head_options() == backbone.head_options()
    assert again.head_options()["efficient"] is True
    rows = stored(backbone, [ExtractInstance("Which?", "Ann saw Bob", (), types=("a", "b"))])
    with torch.inference_mode():
        assert again.predict(rows) == backbone.predict(rows)
    plain = tiny("bert", "extract", "global_pointer", types=2, size=8)
    assert "efficient" not in plain.head_options()
    assert sorted(plain.head.state_dict()) == ["out.bias", "out.weight"]  # type: ignore[operator,union-attr]


# Starts and ends


def test_starts_and_ends_find_what_their_scores_say() -> None:
    head = StartEndHead(2)
    with torch.no_grad():
        head.out.weight.copy_(torch.eye(2))
        head.out.bias.zero_()
    # Per token: start, end. The first and the last one are no passage.
    hidden = torch.tensor([[[9.0, 9.0], [2.0, -1.0], [-3.0, 1.0], [-1.0, -2.0], [9.0, 9.0]]])
    inside = [[False, True, True, True, False]]
    (found,) = head.spans(hidden, batch_over(inside), 20, 48)
    assert found[0] == (1, 2, 3.0, 0)
    assert {(s, e) for s, e, *_ in found} == {(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3)}
    assert all(score < 0 for *_, score, _ in found[1:])
    spans = torch.tensor([[0, 1, 2], [0, 3, 3]])
    assert head.at(hidden, spans).tolist() == [3.0, -3.0]
    assert head.at(hidden, spans[:0]).shape == (0,)


def test_starts_and_ends_speak_of_one_type() -> None:
    with pytest.raises(ConfigError, match="one type at a time"):
        StartEndHead(8, types=2)


# Candidates


@pytest.mark.parametrize("head", ["span", "global_pointer"])
def test_a_candidate_in_no_window_is_the_worst(head: str) -> None:
    backbone = tiny("modernbert", "extract", head, window=40)
    text = "good bad. " + "boats and dogs " * 30
    end = (len(text) - 5, len(text) - 1)
    example = ExtractInstance("Which?", text, (), ((0, 4), (5, 8), end))
    rows = stored(backbone, [example])
    assert len(rows) > 2
    with torch.inference_mode():
        raws = [p.raw for p in backbone.predict(rows)]
    assert all(isinstance(r, Scores) and len(r.values) == 3 for r in raws)
    first, last = raws[0].values, raws[-1].values  # type: ignore[union-attr]
    assert first[2] == LOWEST and last[0] == last[1] == LOWEST
    assert first[0] > LOWEST and last[2] > LOWEST


@pytest.mark.parametrize("head", ["span", "global_pointer"])
def test_closed_and_open_questions_share_a_batch(head: str) -> None:
    backbone = tiny("modernbert", "extract", head)
    closed = TextClassification("0", "boats", LabelSpace(("good", "bad")), gold="bad")
    rows = encoded(backbone, Extract(), closed)
    rows += stored(backbone, [], [ExtractInstance("Who?", "Ann saw Bob", (Span(0, 3),))])
    with torch.inference_mode():
        both = backbone.predict(rows)
        alone = [backbone.predict([r])[0] for r in rows]
    assert [type(p.raw) for p in both] == [Scores, Spans]
    assert both[0].raw.values == pytest.approx(alone[0].raw.values, abs=1e-4)  # type: ignore[union-attr]
    with torch.inference_mode():
        losses = [backbone.loss(collate(r, backbone.layout, "extract")).item()
                  for r in (rows, rows[:1], rows[1:])]
    assert losses[0] == pytest.approx(losses[1] + losses[2], rel=1e-5)
