"""Tiny models and small tasks for the tests of this folder.

`UNIFY_TEST_DEVICE=cuda pytest …` puts the tiny models, and the runs of `test_conf`, on a GPU.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from format_tokenizers import made

from formats.base import Format
from formats.examples import Example, LabelSpace, TextClassification
from formats.features import Group, featurize
from formats.instances import Instance
from formats.prompts import default_prompt
from formats.store import StoredRow, in_memory
from unify import own
from unify.backbones import Backbone, build
from unify.learners.optim import Optimization
from unify.prompts.shots import Budget, Shots

DEVICE = os.environ.get("UNIFY_TEST_DEVICE", "cpu")
ACCELERATOR = "cpu" if DEVICE == "cpu" else "gpu"

TINY: dict[str, dict[str, Any]] = {
    "modernbert": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 48, "global_attn_every_n_layers": 1, "max_position_embeddings": 96,
    },
    "bert": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 48, "max_position_embeddings": 96,
    },
    "mistral": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 48, "max_position_embeddings": 96,
    },
    "llama": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 48, "max_position_embeddings": 96,
    },
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 96},
    "t5": {"d_model": 32, "d_ff": 48, "d_kv": 16, "num_layers": 2, "num_heads": 2},
    "bart": {
        "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
        "max_position_embeddings": 128,
    },
}


def tiny(
    architecture: str, format: str, head: str = "auto", *, seed: int = 0,
    spread: float | None = None, tokenizer: str = "bpe", window: int = 96, max_target: int = 12,
    config: Mapping[str, Any] | None = None, **head_options: Any,
) -> Backbone:
    """A two-layer model of width 32. ``spread`` widens its weights, so that what an untrained
    model says depends on what it is asked."""
    torch.manual_seed(seed)
    spread = spread or (2.0 if architecture == "t5" else 8.0)  # T5 begins wider than the others
    backbone = build(
        architecture=architecture, config={**TINY[architecture], **(config or {})},
        tokenizer=made(tokenizer), format=format, head=head, head_options=head_options,
        window=window, max_target=max_target,
    )
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.ndim > 1:
                parameter.mul_(spread)
    return backbone.to(DEVICE).eval()


ML = (
    "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def chatty(template: str | None = ML, window: int = 400) -> Backbone:
    tokenizer = copy.deepcopy(made("bpe"))  # the session shares it
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    tokenizer.chat_template = template
    torch.manual_seed(0)
    config = {**TINY["llama"], "max_position_embeddings": window}
    backbone = build(
        architecture="llama", config=config, tokenizer=tokenizer, format="generate", head="auto",
        head_options={}, window=window, max_target=12,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4.0)
    return backbone.to(DEVICE).eval()


def stored(
    backbone: Backbone, *groups: Iterable[Instance], train: bool = False
) -> list[StoredRow]:
    """Feature rows of ``groups`` as they would be read from a file."""
    listed = [Group(i, list(g)) for i, g in enumerate(groups)]
    return [in_memory(f) for f in featurize(listed, backbone.coder, train=train)]


def encoded(
    backbone: Backbone, format: Format, *examples: Example, train: bool = False
) -> list[StoredRow]:
    """Feature rows of ``examples``, asked with their type's default prompt."""
    groups = (list(format.encode(e, default_prompt(e.kind), sample=train)) for e in examples)
    return stored(backbone, *groups, train=train)


MOODS = LabelSpace(("glad", "sad"))


def moods(count: int, gold: bool = True) -> list[TextClassification]:
    """Rows that one word decides."""
    return [
        TextClassification(
            f"mood/data/{i}", f"{'boats' if i % 2 else 'dogs'} {'so ' * (i % 5)}quick", MOODS,
            gold=MOODS.names[i % 2] if gold else None,
        )
        for i in range(count)
    ]


def mood_rows(count: int) -> list[dict[str, Any]]:
    """The same rows as plain data."""
    return [{"text": e.text, "label": e.gold} for e in moods(count)]


def mood_task(folder: Path, count: int = 12, **declaration: Any) -> Any:
    """The same rows as a task with the one split ``data``."""
    return own.task_from_rows(
        mood_rows(count), folder, "classify", {"labels": ["glad", "sad"], **declaration}
    )


def shots_of(
    folder: Path, pair: tuple[str, str], steps: int = 2, lr: float = 1e-3
) -> Shots:
    """Twelve labelled rows, twelve unlabelled; the labels read as ``pair``."""
    task = mood_task(folder)
    space = LabelSpace(("glad", "sad"), pair)
    task = replace(task, labels=space)
    rows = [replace(e, labels=space) for e in moods(12)]
    more = [replace(e, id=f"more/{k}", gold=None) for k, e in enumerate(rows)]
    budget = Budget(steps, 4, 0, Optimization(lr=lr))
    backbone = tiny("bert", "generate", spread=2.0)
    return Shots(task, rows, rows, more, backbone, budget)


def greedy(asked: Any, source: str, tokens: int) -> list[int]:
    """What the language model of ``asked`` (a backbone, or a scoring engine) writes behind
    ``source``: at most ``tokens`` tokens, one by one, the whole prefix read every time."""
    layout, coder, model = asked.coder.layout, asked.coder, asked.model
    (own,) = coder.ids([source])
    prompt = [*layout.single_before, *own]
    written: list[int] = []
    with torch.inference_mode():
        while len(written) < tokens:
            if layout.kind == "causal":
                ids = torch.tensor([[*prompt, *written]], device=model.device)
                logits = model(input_ids=ids).logits
            else:
                begun = [model.config.decoder_start_token_id, *written]
                logits = model(
                    input_ids=torch.tensor([[*prompt, *layout.single_after]], device=model.device),
                    decoder_input_ids=torch.tensor([begun], device=model.device),
                ).logits
            token = int(logits[0, -1].argmax())
            if token == layout.eos:
                break
            written.append(token)
    return written
