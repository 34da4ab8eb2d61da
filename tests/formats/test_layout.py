"""The frame that a tokenizer puts around texts, and texts to ids and back."""

from __future__ import annotations

import pickle

import pytest
from format_strategies import examples, texts
from format_tokenizers import coder, made
from hypothesis import given

from formats.errors import ConfigError
from formats.layout import Coder, Layout, probe_layout

FRAMES = {  # before, between, after, second_type, single_before, single_after
    "bpe": (["<s>"], ["</s>"], ["</s>"], 1, ["<s>"], ["</s>"]),
    "wordpiece": (["[CLS]"], ["[SEP]"], ["[SEP]"], 1, ["[CLS]"], ["[SEP]"]),
    "roberta": (["<s>"], ["</s>", "</s>"], ["</s>"], 0, ["<s>"], ["</s>"]),
    "gpt": ([], [], [], 1, [], []),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_frame_is_read_off_the_tokenizer(name: str) -> None:
    tokenizer = made(name)
    layout = probe_layout(tokenizer, "encoder", 96)
    words = tokenizer.convert_ids_to_tokens
    assert [
        words(list(layout.before)), words(list(layout.between)), words(list(layout.after)),
        layout.second_type, words(list(layout.single_before)), words(list(layout.single_after)),
    ] == list(FRAMES[name])
    frame = sum(len(FRAMES[name][i]) for i in (0, 1, 2))
    assert layout.pair_room == 96 - frame
    assert layout.single_room == 96 - len(FRAMES[name][4]) - len(FRAMES[name][5])


@pytest.mark.parametrize("name", FRAMES)
def test_the_frame_makes_what_the_tokenizer_makes(name: str) -> None:
    tokenizer, c = made(name), coder(name)
    a, b = c.ids(["Who keeps the boats?", "Ann keeps boats."])
    lay = c.layout
    whole = [*lay.before, *a, *lay.between, *b, *lay.after]
    assert whole == tokenizer("Who keeps the boats?", "Ann keeps boats.")["input_ids"]
    single = [*lay.single_before, *b, *lay.single_after]
    assert single == tokenizer("Ann keeps boats.")["input_ids"]


def test_special_ids_come_along() -> None:
    assert probe_layout(made("bpe"), "masked", 64).mask == made("bpe").mask_token_id
    layout = probe_layout(made("gpt"), "causal", 64)
    assert layout.mask is None
    assert layout.pad == layout.eos == made("gpt").eos_token_id  # no padding token: the end's


@pytest.mark.parametrize("name", FRAMES)
def test_special_strings_in_a_text_stay_text(name: str) -> None:
    c = coder(name)
    text = "a</s>b<s> [SEP] [MASK]<mask><|end|><pad>c"
    special = set(made(name).all_special_ids) - {made(name).unk_token_id}
    (ids,) = c.ids([text])
    (again,), _ = c.ids_and_offsets([text])
    assert ids == again and not special & set(ids)
    # The tokenizer itself would have read them as its own:
    assert special & set(made(name)(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
@pytest.mark.parametrize("name", ["bpe", "roberta", "gpt"])
def test_text_reads_back_what_target_wrote(name: str, kind: str) -> None:
    c = coder(name, kind)  # type: ignore[arg-type]

    @examples(150)
    @given(texts)
    def check(text: str) -> None:
        (ids,) = c.ids([c.target(text)])
        assert c.text(ids) == text

    check()


def test_end_and_padding_are_no_part_of_a_text() -> None:
    c = coder("bpe", "causal")
    (ids,) = c.ids([c.target("three boats")])
    assert c.text([*ids, c.layout.eos, c.layout.pad]) == "three boats"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("yes", " yes"), ("7", " 7"), ("", ""),
        ("你好", "你好"), ("東京 a", "東京 a"), ("한국", "한국"),
    ],
)
def test_a_target_continues_its_source_as_its_script_does(text: str, written: str) -> None:
    assert coder("gpt", "causal").target(text) == written
    assert coder("bpe", "seq2seq").target(text) == text


def test_ids_do_not_depend_on_what_was_asked_before() -> None:
    fresh, used = coder("bpe"), coder("bpe")
    used.ids(["boats", "a " * 60, "boats"])
    asked = ["boats", "a " * 60, "harbour", "boats"]
    assert used.ids(asked) == fresh.ids(asked) == [fresh.ids([t])[0] for t in asked]
    assert pickle.loads(pickle.dumps(used)).ids(asked) == fresh.ids(asked)


def test_offsets_point_at_the_tokens_own_characters() -> None:
    (ids,), (offsets,) = coder("bpe").ids_and_offsets(["Ann keeps  boats"])
    assert len(ids) == len(offsets)
    text = "Ann keeps  boats"
    assert "".join(text[s:e].strip() for s, e in offsets) == "Annkeepsboats"
    assert all(0 <= s <= e <= len(text) for s, e in offsets)


def test_a_fingerprint_tells_tokenizers_and_layouts_apart() -> None:
    marks = [
        coder("bpe").fingerprint(), coder("roberta").fingerprint(),
        coder("bpe", window=64).fingerprint(), coder("bpe", "causal").fingerprint(),
        coder("bpe", max_target=9).fingerprint(),
    ]
    assert len(set(marks)) == 5
    assert coder("bpe").fingerprint() == marks[0]


def test_what_cannot_be_a_layout_is_refused() -> None:
    with pytest.raises(ConfigError, match="fewer than 16"):
        Layout("encoder", 8, 0)
    with pytest.raises(ConfigError, match="unknown layout 'decoder'"):
        Layout("decoder", 64, 0)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="stride"):
        Layout("encoder", 64, 0, stride=0.0)
    with pytest.raises(ConfigError, match="no mask token"):
        probe_layout(made("gpt"), "masked", 64)

    class Slow:
        pass

    with pytest.raises(ConfigError, match="without offsets"):
        Coder(Slow(), Layout("encoder", 64, 0))
