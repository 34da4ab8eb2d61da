"""A GPT-2-shaped model and tokenizer in a folder, and rows with demonstrations, all invented."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu".split()


def words(draw: random.Random, count: int = 1500) -> list[str]:
    made = {"".join(draw.choices(SYLLABLES, k=draw.choice((1, 2, 2, 3)))) for _ in range(count)}
    return sorted(made)


def rows(count: int, shots: int, seed: int = 0, retrieved: bool = False) -> list[dict[str, Any]]:
    """``context`` and four ``options`` per row; ``shots`` demonstrations before each, the same for
    all rows or drawn per row."""
    draw = random.Random(seed)
    known = words(draw)

    def some(low: int, high: int) -> str:
        return " ".join(draw.choices(known, k=draw.randint(low, high)))

    def one() -> tuple[str, list[str]]:
        question = f"Text: {some(14, 22)}.\nQuestion: {some(4, 7)}?\nAnswer:"
        return question, [f" {some(2, 4)}" for _ in range(4)]

    pool = [(q, o[0]) for q, o in (one() for _ in range(200))]
    fixed = draw.sample(pool, 16)[:shots]
    out = []
    for _ in range(count):
        shown = draw.sample(pool, shots) if retrieved else fixed
        question, options = one()
        context = "".join(f"{q}{a}\n\n" for q, a in shown) + question
        out.append({"context": context, "options": options})
    return out


def model(folder: Path, *, width: int, layers: int, vocabulary: int) -> None:
    """Saves :func:`built` as a Hugging Face folder."""
    made, fast = built(width, layers, vocabulary)
    made.save_pretrained(folder)
    fast.save_pretrained(folder)


def built(
    width: int, layers: int, vocabulary: int, positions: int = 1280, device: str = "cpu",
    dtype: str = "float32", spread: float = 2.0,
) -> tuple[Any, Any]:  # fmt: skip
    """Random weights, ``spread`` times as wide as usual so that the options' scores differ, and a
    byte-level BPE."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [r["context"] + " ".join(r["options"]) for r in rows(300, 1, seed=1)]
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=1000,
            special_tokens=["<|endoftext|>"],
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        model_max_length=positions,
    )
    torch.manual_seed(0)
    config = GPT2Config(
        n_embd=width,
        n_layer=layers,
        n_head=max(1, width // 64),
        n_positions=positions,
        vocab_size=vocabulary,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
    )
    with torch.device(device):
        made = GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.mul_(spread)
    return made.to(getattr(torch, dtype)).eval(), fast


def write(path: Path, data: list[dict[str, Any]]) -> None:
    path.write_text("\n".join(json.dumps(r) for r in data) + "\n", encoding="utf-8")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
