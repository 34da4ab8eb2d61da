"""Initial weights for small models trained from scratch, in minutes rather than days.

A transformer drawn from a small Gaussian spends most of a short training finding out that equal
tokens should look at each other. Mimetic initialisation (Trockman and Kolter 2023,
arXiv 2305.09828) starts it there: query and key share a projection, so that a token attends to its
likes, and value and output are each other's transpose, so that what is looked up is passed on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from formats.errors import ConfigError

from .base import Backbone

_NAMES = (  # query, key, value, and where the output projection is found from the same module
    ("query", "key", "value", None),
    ("q_proj", "k_proj", "v_proj", "o_proj"),
    ("q", "k", "v", "o"),
)


class Attention(NamedTuple):
    """One attention layer's projections; ``halves`` says that rotary positions turn dimension j
    with j + size/2 (Llama), and not with its neighbour (RoFormer)."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear
    halves: bool

    def spread(self, first: Tensor, second: Tensor) -> Tensor:
        """The two members of each rotary pair, laid out as this layer has them."""
        if self.halves:
            return torch.cat([first, second])
        return torch.stack([first, second], 1).flatten()


def attentions(model: nn.Module) -> Iterator[Attention]:
    """The attention layers of a BERT-, Llama- or T5-shaped model, in order."""
    modules = dict(model.named_modules())
    for name, module in modules.items():
        for *inputs, o in _NAMES:
            if o is not None:
                output = getattr(module, o, None)
            else:  # BERT's output projection is a sibling: attention.self and attention.output
                output = getattr(modules.get(f"{name.rpartition('.')[0]}.output"), "dense", None)
            query, key, value = (getattr(module, str(n), None) for n in inputs)
            if (
                isinstance(query, nn.Linear)
                and isinstance(key, nn.Linear)
                and isinstance(value, nn.Linear)
                and isinstance(output, nn.Linear)
            ):
                yield Attention(query, key, value, output, halves=o == "o_proj")


def initialise(
    backbone: Backbone,
    *,
    std: float = 0.02,
    embedding_std: float | None = None,
    match: float = 0.0,
    previous: float = 0.0,
    carry: float = 0.0,
    induct: float = 0.0,
    head_std: float | None = None,
    head_bias: float | None = None,
) -> None:
    """Redraws the model's weights.

    Args:
        std: of every matrix. embedding_std: of the token embeddings (default: ``std``).
        match: how strongly a token attends to its likes, in logits per squared norm; 0 leaves
            queries and keys random.
        previous: logit with which the last head of each layer attends to the token before
            (rotary models whose projections have biases only); 0 leaves it as the others.
        carry: scale of output times value, which starts as this multiple of the identity.
        induct: how strongly a token, from the second layer on, attends to what *follows* its likes,
            in logits per squared norm (needs ``previous`` and ``carry``): the induction heads of
            Olsson et al. 2022 (arXiv 2209.11895), which copying from demonstrations is made of.
        head_std, head_bias: of the head's own matrices and biases.
    """
    model = backbone.model
    for module in model.modules():
        # Fixed tables (rotary and sinusoidal positions) are embeddings, too: leave them.
        if isinstance(module, (nn.Linear, nn.Embedding)) and module.weight.requires_grad:
            nn.init.normal_(module.weight, 0.0, std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    words = model.get_input_embeddings()
    nn.init.normal_(words.weight, 0.0, embedding_std or std)
    types = [m for n, m in model.named_modules() if n.endswith("token_type_embeddings")]
    apart = None
    if types:
        nn.init.normal_(types[0].weight, 0.0, 0.3 * (embedding_std or std))
        if len(types[0].weight) > 1:
            apart = types[0].weight.detach()[1] - types[0].weight.detach()[0]
    if match or previous or carry:
        heads = model.config.num_attention_heads
        with torch.no_grad():
            layers = list(attentions(model))
            for attention in layers:
                _mimetic(attention, heads, apart, match, previous, carry)
            if induct:
                if not (previous and carry and heads > 1):
                    raise ConfigError(
                        "induct without what it reads",
                        got={"previous": previous, "carry": carry, "heads": heads},
                        expected="previous and carry above 0, and at least two heads",
                    )
                _induct(layers, heads, induct, carry)
    for module in backbone.head_modules().values():
        for parameter in module.parameters():
            if parameter.ndim > 1 and head_std is not None:
                nn.init.normal_(parameter, 0.0, head_std)
            if parameter.ndim == 1 and head_bias is not None:
                nn.init.constant_(parameter, head_bias)


def _mimetic(
    attention: Attention,
    heads: int,
    apart: Tensor | None,
    match: float,
    previous: float,
    carry: float,
) -> None:
    width = attention.query.in_features
    inner = attention.query.out_features
    size = inner // heads
    rate = 10_000.0 ** (-torch.arange(size // 2) * 2 / size)
    fast = (rate > 0.05).float()  # the rotary pairs that tell neighbouring positions apart
    for i in range(heads):
        rows = slice(i * size, (i + 1) * size)
        if previous and i == heads - 1:
            _look_back(attention, rows, rate, fast, previous)
        elif match:
            shared = torch.randn(size, width) / math.sqrt(width)
            if apart is not None:  # a token of the question should match one of the passage
                unit = apart / apart.norm()
                shared = shared - (shared @ unit)[:, None] * unit[None, :]
            # Where the likes stand should not matter: little weight on fast-turning pairs.
            shared = shared * (1 - 0.9 * attention.spread(fast, fast))[:, None]
            shared = shared * math.sqrt(match * math.sqrt(size))
            attention.query.weight[rows] = shared + 0.02 * torch.randn(size, width)
            attention.key.weight[rows] = shared + 0.02 * torch.randn(size, width)
    if carry:
        if inner != width:
            raise ConfigError(
                "carry needs heads that fill the width",
                got=(inner, width),
                fix="num_attention_heads times the head's width = hidden_size",
            )
        basis, _ = torch.linalg.qr(torch.randn(width, width))
        attention.value.weight.copy_(basis + 0.02 * torch.randn(width, width))
        attention.output.weight.copy_(carry * basis.T + 0.02 * torch.randn(width, width))


def _look_back(
    attention: Attention, rows: slice, rate: Tensor, fast: Tensor, previous: float
) -> None:
    """Biases whose rotated product peaks one position back: sum of cos(rate * (i - j - 1))."""
    if attention.query.bias is None or attention.key.bias is None:
        raise ConfigError(
            "previous needs projections with biases", fix="init.previous=0, or another model"
        )
    size = 2 * len(rate)
    scale = math.sqrt(previous * math.sqrt(size) / float(fast.sum()))
    attention.query.weight[rows] *= 0.3
    attention.key.weight[rows] *= 0.3
    attention.query.bias[rows] = scale * attention.spread(fast, torch.zeros_like(fast))
    attention.key.bias[rows] = scale * attention.spread(
        fast * torch.cos(rate), fast * torch.sin(rate)
    )


def _induct(layers: list[Attention], heads: int, induct: float, carry: float) -> None:
    """The last head of each layer notes the token before in a subspace of its own; the other heads
    of the next layer ask there for what they themselves are."""
    width = layers[0].query.in_features
    size = layers[0].query.out_features // heads
    rate = 10_000.0 ** (-torch.arange(size // 2) * 2 / size)
    fast = (rate > 0.05).float()
    last = slice((heads - 1) * size, heads * size)
    for before, attention in zip([None, *layers], layers, strict=False):
        turn, _ = torch.linalg.qr(torch.randn(width, width))
        attention.output.weight[:, last] = turn @ attention.output.weight[:, last]
        if before is None:
            continue
        read, noted = before.value.weight[last], before.output.weight[:, last] / carry
        shared = torch.randn(size, width) / math.sqrt(width)
        shared = shared * (1 - 0.9 * attention.spread(fast, fast))[:, None]
        shared = shared * math.sqrt(induct * math.sqrt(size))
        for i in range(heads - 1):
            rows = slice(i * size, (i + 1) * size)
            attention.query.weight[rows] = shared @ read.T @ read
            attention.key.weight[rows] = shared @ read.T @ noted.T
            for weight in (attention.query.weight, attention.key.weight):
                weight[rows] += 0.02 * torch.randn(size, width)
