"""Special-token strings in a text stay text, whatever the tokenizer's model knows them as."""

from __future__ import annotations

from typing import Any

import pytest
from format_tokenizers import MAKERS, coder
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from formats.layout import Coder, probe_layout

STRINGS = ("[SEP]", "[CLS]", "[MASK]", "[PAD]", "<s>", "</s>", "<pad>", "<mask>", "<|end|>")
PLAIN = "Ann keeps three boats, naïve 你好 ß; [x] <y>"


@pytest.mark.parametrize("name", MAKERS)
def test_user_text_reaches_no_special_token(name: str) -> None:
    made = coder(name)
    tokenizer = made.tokenizer
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    texts = [p.format(s) for s in STRINGS for p in ("{}", "a {} b", "a{}b", "{0}{0}", "\n{}\t")]
    for text, ids in zip(texts, made.ids(texts), strict=True):
        assert not special & set(ids), text
        own, _ = made.ids_and_offsets([text])
        assert own == [ids]
    flat, _ = made.flat(texts)
    assert not special & set(flat.tolist())
    assert made.ids([PLAIN]) == [
        tokenizer(PLAIN, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    ]


def whole_words() -> Any:
    """A tokenizer that looks whole words up, special ones among them."""
    special = ["[UNK]", "[PAD]", "[SEP]"]
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.train_from_iterator(
        ["a b and c"], trainers.WordLevelTrainer(special_tokens=special, show_progress=False)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", sep_token="[SEP]"
    )


def test_a_vocabulary_of_whole_words_has_unknown_ones_instead() -> None:
    tokenizer = whole_words()
    made = Coder(tokenizer, probe_layout(tokenizer, "encoder", 32))
    unknown = tokenizer.unk_token_id
    a, b, joined = (tokenizer.convert_tokens_to_ids(w) for w in ("a", "b", "and"))
    assert made.ids(["a [SEP] b", "[SEP]", "and [UNK]"]) == [
        [a, unknown, b], [unknown], [joined, unknown]
    ]
