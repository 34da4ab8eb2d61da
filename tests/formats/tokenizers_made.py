"""Small tokenizers of the shapes that published models have, trained in place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from formats.layout import Coder, Kind, probe_layout
from unify.backbones.tokenizer import train_tokenizer

TEXTS = (
    "Ann keeps three red boats in the harbour of Port Lund, and Bob keeps none.",
    "Who keeps the boats? Which label fits? Options: good, bad. Answer: yes or no?",
    "The quick brown fox jumps over the lazy dog; 12 dogs sleep, 7 do not.",
    "Straße, café, naïve, 你好, 東京, 😀, हिन्दी",
)


def bpe() -> Any:
    """This package's own: byte-level, a blank put before the text, offsets trimmed."""
    return train_tokenizer(TEXTS * 5, 420, 96)


def wordpiece() -> Any:
    """BERT's shape: cleaned, lower-cased, accents stripped, ``[CLS] a [SEP] b [SEP]``, types."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(
        TEXTS * 5, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special,
                                             show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", clean_up_tokenization_spaces=False,
    )


def roberta() -> Any:
    """RoBERTa's shape: byte-level, blanks belong to tokens, ``<s> a </s></s> b </s>``."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        TEXTS * 5,
        trainers.BpeTrainer(vocab_size=420, special_tokens=special, show_progress=False,
                            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=False, add_prefix_space=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        sep_token="</s>", pad_token="<pad>", cls_token="<s>", mask_token="<mask>",
        clean_up_tokenization_spaces=False,
    )


def gpt() -> Any:
    """GPT-2's shape: byte-level, no frame and no padding token at all."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        TEXTS * 5,
        trainers.BpeTrainer(vocab_size=420, special_tokens=["<|end|>"], show_progress=False,
                            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|end|>", eos_token="<|end|>",
        clean_up_tokenization_spaces=False,
    )


def cased() -> Any:
    """Cased BERT's shape: cleaned, Chinese characters apart, nothing lowered or stripped."""
    tokenizer = wordpiece()
    tokenizer.backend_tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=False, strip_accents=False
    )
    return tokenizer


def unigram() -> Any:
    """XLM-R's shape: NFKC, blanks as a sign of the next word, ``<s> a </s></s> b </s>``."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(
        TEXTS * 5, trainers.UnigramTrainer(vocab_size=220, special_tokens=special,
                                           unk_token="<unk>", show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("<s>", "</s>")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        sep_token="</s>", pad_token="<pad>", cls_token="<s>", mask_token="<mask>",
        clean_up_tokenization_spaces=False,
    )


def llama() -> Any:
    """Llama 2's shape: one word for the whole text, unknown signs as bytes, ``<s> a``."""
    special = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256))]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.train_from_iterator(
        TEXTS[:3] * 5, trainers.BpeTrainer(vocab_size=420, special_tokens=special,
                                           show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B",
        special_tokens=[("<s>", tokenizer.token_to_id("<s>"))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        pad_token="</s>", clean_up_tokenization_spaces=False,
    )


MAKERS: dict[str, Callable[[], Any]] = {
    "bpe": bpe, "wordpiece": wordpiece, "roberta": roberta, "gpt": gpt,
    "cased": cased, "unigram": unigram, "llama": llama,
}


@functools.cache
def made(name: str) -> Any:
    """The tokenizer ``name``, made once per session."""
    return MAKERS[name]()


def coder(name: str, kind: Kind = "encoder", window: int = 96, **more: Any) -> Coder:
    """A coder over tokenizer ``name``."""
    return Coder(made(name), probe_layout(made(name), kind, window, **more))
