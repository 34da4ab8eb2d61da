"""A byte-level BPE tokenizer trained on a suite's seen texts: no word is ever unknown to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PAD, BEGIN, END, MASK = "<pad>", "<s>", "</s>", "<mask>"


def train_tokenizer(texts: Iterable[str], vocab_size: int = 2048, window: int = 512) -> Any:
    """A Hugging Face fast tokenizer; ``vocab_size`` counts its 256 bytes and 4 special tokens.

    Digits stand alone, so that a number unseen in training is made of seen pieces. Pairs are
    framed ``<s> a </s> b </s>``. Raises ConfigError when the vocabulary cannot hold the bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    from formats.errors import ConfigError

    if vocab_size < 300:
        raise ConfigError(
            "a vocabulary too small for bytes", got=vocab_size, expected="vocab_size >= 300"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.ByteLevel(add_prefix_space=True),  # before Digits: it adds blanks
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, BEGIN, END, MASK],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    frame = [(t, tokenizer.token_to_id(t)) for t in (BEGIN, END)]
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing(
                single=f"{BEGIN} $A {END}",
                pair=f"{BEGIN} $A {END} $B:1 {END}:1",
                special_tokens=frame,
            ),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        mask_token=MASK,
        cls_token=BEGIN,
        sep_token=END,
        model_max_length=window,
        clean_up_tokenization_spaces=False,
    )
