"""Stored rows to tensors: every id, label and mask at its place, whatever the padding."""

from __future__ import annotations

import pytest
import torch
from format_tokenizers import coder

from formats.collate import Batch, collate, sources
from formats.examples import Span
from formats.features import Group, featurize
from formats.instances import EntailInstance, ExtractInstance, GenerateInstance, Instance
from formats.layout import Coder
from formats.store import StoredRow, in_memory

WHO = "Who?"
PASSAGE = "Ann saw Bob"


def stored(c: Coder, *groups: list[Instance], train: bool = False) -> list[StoredRow]:
    listed = [Group(i, g) for i, g in enumerate(groups)]
    return [in_memory(f) for f in featurize(listed, c, train=train)]


def real(batch: Batch, k: int) -> list[int]:
    """Sequence ``k`` without its padding."""
    return batch.ids[k][batch.mask[k].bool()].tolist()


@pytest.mark.parametrize("name", ["bpe", "wordpiece", "roberta"])
def test_an_extract_pair_is_what_the_tokenizer_makes_of_it(name: str) -> None:
    c = coder(name)
    gold = Span(PASSAGE.index("Bob"), len(PASSAGE))
    batch = collate(
        stored(c, [ExtractInstance(WHO, PASSAGE, (gold,))],
               [ExtractInstance("Who keeps the boats, and where?", PASSAGE, ())]),
        c.layout, "extract",
    )
    whole = c.tokenizer(WHO, PASSAGE, return_token_type_ids=True)
    assert real(batch, 0) == whole["input_ids"]
    if name != "roberta":
        width = len(whole["input_ids"])
        assert batch.types[0, :width].tolist() == whole["token_type_ids"]
        assert batch.types[0, width:].sum() == 0
    assert batch.inside is not None and batch.starts is not None and batch.ends is not None
    passage = c.ids([PASSAGE])[0]
    assert batch.ids[0][batch.inside[0]].tolist() == passage
    assert batch.ids[1][batch.inside[1]].tolist() == passage
    first, last = batch.starts[0].nonzero().item(), batch.ends[0].nonzero().item()
    bob = c.ids([" Bob" if name == "roberta" else "Bob"])[0]
    assert batch.ids[0, first : last + 1].tolist() == bob
    assert batch.starts[1].sum() == batch.ends[1].sum() == 0
    assert batch.spans is not None and batch.spans.tolist() == [[0, first, last, 0]]
    assert batch.weight == 2.0 and batch.tokens == int(batch.mask.sum())


def test_questions_share_a_passage_and_candidates() -> None:
    c = coder("bpe")
    good, bad = Span(0, 4), Span(5, 8)
    group: list[Instance] = [
        ExtractInstance(question, "good bad", (gold,), ((0, 4), (5, 8)))
        for question, gold in (("1", good), ("2 2", bad))
    ]
    batch = collate(stored(c, group), c.layout, "extract")
    assert batch.closed is not None and batch.chosen is not None and batch.shift is not None
    assert batch.closed[:, 0].tolist() == [0, 0, 1, 1]
    assert batch.chosen.tolist() == [True, False, False, True]
    assert batch.variant_of.tolist() == [0, 1] and batch.row_of.tolist() == [0, 0]
    for k, first, last in batch.closed.tolist():
        word = c.tokenizer.decode(batch.ids[k, first : last + 1]).strip()
        assert word in ("good", "bad")
    assert (batch.shift[1] - batch.shift[0]).item() == len(c.ids(["2 2"])[0]) - len(c.ids(["1"])[0])


def test_entailment_pairs() -> None:
    c = coder("bpe")
    rows = stored(c, [EntailInstance("Ann", "so", 1.0), EntailInstance("Ann", "not so", 0.25)])
    batch = collate(rows, c.layout, "entail")
    assert [real(batch, k) for k in (0, 1)] == [
        c.tokenizer("Ann", h)["input_ids"] for h in ("so", "not so")
    ]
    assert batch.gold is not None and batch.gold.tolist() == [1.0, 0.25]
    assert batch.weight == 2.0


def test_causal_targets_end_together() -> None:
    c = coder("bpe", "causal", max_target=16)
    long, short = GenerateInstance("Say a long thing.", "yes"), GenerateInstance("Say", "no")
    rows = stored(c, [long], [short], train=True)
    batch = collate(rows, c.layout, "generate")
    assert batch.target is not None
    for k, (source, target) in enumerate((("Say a long thing.", " yes"), ("Say", " no"))):
        s, t = c.ids([source, target])
        t = [*t, c.layout.eos]
        assert real(batch, k) == [c.layout.bos, *s, *t]
        assert batch.ids[k, -len(t) :].tolist() == batch.target[k, -len(t) :].tolist() == t
        assert (batch.target[k, : -len(t)] == -100).all()
    assert batch.mask[1, 0] == 0 and batch.mask[:, -1].all()
    assert batch.weight == (batch.target != -100).sum()


def test_masked_targets_stand_behind_masks() -> None:
    c = coder("bpe", "masked", max_target=16)
    rows = stored(c, [GenerateInstance("Which?", "three boats", ("three boats", "no"))])
    batch = collate(rows, c.layout, "generate", score=True)
    assert batch.target is not None and batch.variant_of.tolist() == [0, 1]
    for k, word in enumerate((" three boats", " no")):
        (ids,) = c.ids([word])
        holes = batch.ids[k] == c.layout.mask
        assert holes.sum() == len(c.ids([" three boats"])[0])  # of the longest option
        assert batch.target[k][holes].tolist() == ids + [-100] * (int(holes.sum()) - len(ids))
        assert (batch.target[k][~holes] == -100).all()
        assert real(batch, k)[-1] == c.layout.eos


def test_the_number_of_blanks_tells_nothing_of_the_answer() -> None:
    c = coder("bpe", "masked", max_target=16)
    options = ("three boats", "no")
    rows = stored(
        c, *([GenerateInstance("Which?", target, options)] for target in options), train=True
    )
    batch = collate(rows, c.layout, "generate")
    assert batch.target is not None and len(batch.ids) == 2
    assert batch.ids[0].tolist() == batch.ids[1].tolist()
    kept = [t[t != -100].tolist() for t in batch.target]
    assert kept == c.ids([" three boats", " no"])


def test_seq2seq_encodes_a_source_once() -> None:
    c = coder("bpe", "seq2seq", max_target=16)
    rows = stored(c, [GenerateInstance("Which?", "b", ("a", "b", "c d"))],
                  [GenerateInstance("What then?", "b", ("b", "e"))])
    batch = collate(rows, c.layout, "generate", score=True)
    assert batch.ids.shape[0] == 2 and batch.target is not None and batch.source_of is not None
    assert batch.source_of.tolist() == [0, 0, 0, 1, 1]
    assert real(batch, 1) == c.tokenizer("What then?")["input_ids"]
    kept = [t[t != -100].tolist() for t in batch.target]
    assert kept == [[*i, c.layout.eos] for i in c.ids(["a", "b", "c d", "b", "e"])]


def test_without_scores_only_the_target_is_laid_out() -> None:
    c = coder("bpe", "causal", max_target=16)
    rows = stored(c, [GenerateInstance("Which?", "b", ("a", "b"))])
    batch = collate(rows, c.layout, "generate")
    assert batch.variant_of.tolist() == [1] and len(batch.ids) == 1
    assert real(batch, 0)[-2:] == [*c.ids([" b"])[0][-1:], c.layout.eos]


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_sources_alone(kind: str) -> None:
    c = coder("bpe", kind, max_target=16)  # type: ignore[arg-type]
    rows = stored(c, [GenerateInstance("Say a long thing.", None)], [GenerateInstance("Say", None)])
    ids, mask = sources(rows, c.layout)
    for k, source in enumerate(("Say a long thing.", "Say")):
        tail = [c.layout.eos] if kind == "seq2seq" else []
        assert ids[k][mask[k].bool()].tolist() == [c.layout.bos, *c.ids([source])[0], *tail]
    assert mask[1].tolist() == sorted(mask[1].tolist(), reverse=kind == "seq2seq")


def test_padding_carries_nothing() -> None:
    c = coder("bpe")
    rows = stored(c, [EntailInstance("Ann", "so", 1.0)], [EntailInstance("Ann " * 20, "so", 0.0)])
    batch = collate(rows, c.layout, "entail")
    outside = batch.mask == 0
    assert outside.any() and (batch.ids[outside] == c.layout.pad).all()
    assert (batch.types[outside] == 0).all()


def test_moving_a_batch_moves_its_tensors_and_keeps_the_rest() -> None:
    c = coder("bpe")
    batch = collate(stored(c, [EntailInstance("Ann", "so", 1.0)]), c.layout, "entail")
    batch.step_weight, batch.step_parts = 7.0, 3
    moved = batch.to("meta")
    assert moved.ids.device.type == "meta" and moved.gold is not None
    assert (moved.step_weight, moved.step_parts, moved.weight) == (7.0, 3, 1.0)
    assert moved.target is None and batch.ids.device == torch.device("cpu")
