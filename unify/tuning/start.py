"""What soft prompts begin as."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from formats.errors import ConfigError, RunError

from ..backbones.base import Backbone


def start_rows(
    backbone: Backbone, count: int, init: str, words: Sequence[str], common: int
) -> Tensor:
    """``[count, width]``; see :class:`~unify.tuning.prompt.Prompt`. Raises ConfigError."""
    table: Tensor = backbone.model.get_input_embeddings().weight.detach()
    if init == "random":
        return torch.randn(count, table.shape[1]).to(table) * table.std()
    if init == "vocabulary":
        return table[drawn(backbone, count, common)].clone()
    if init == "words":
        return of_words(backbone, count, words, common)
    return of_run(init, count, table.shape[1]).to(table)


def drawn(backbone: Backbone, count: int, common: int) -> Tensor:
    """``count`` ids among the ``common`` first that are not special, each once where they last."""
    tokenizer = backbone.coder.tokenizer
    size = min(len(tokenizer), backbone.model.get_input_embeddings().weight.shape[0])
    special = set(tokenizer.all_special_ids)
    plain = torch.tensor([i for i in range(size) if i not in special][:common])
    if len(plain) < count:
        return plain[torch.randint(len(plain), (count,))]
    return plain[torch.randperm(len(plain))[:count]]


def of_words(backbone: Backbone, count: int, words: Sequence[str], common: int) -> Tensor:
    """One vector per word, the mean of its tokens'; what is left over is drawn."""
    if not words:
        raise ConfigError(
            "a prompt that begins as words, and none given",
            fix="tuning.words=[good,bad], or tuning.init=vocabulary",
        )
    table: Tensor = backbone.model.get_input_embeddings().weight.detach()
    coder = backbone.coder
    coded = coder.ids([coder.continuation(word) for word in words[:count]])
    rows = [table[torch.tensor(ids)].mean(0) for ids in coded if ids]
    rest = table[drawn(backbone, count, common)][len(rows) :]
    return torch.cat([torch.stack(rows), rest]) if rows else rest.clone()


def of_run(run: str, count: int, width: int) -> Tensor:
    """The prompt that the run trained. Raises RunError where it has none of this shape."""
    from safetensors.torch import load_file

    from .. import runs

    folder = runs.find(run)
    file = folder / runs.MODEL / "tuning.safetensors"
    found = load_file(file).get("tuning.table") if file.exists() else None
    if found is None or found.shape != (count, width):
        raise RunError(
            "no prompt to begin with",
            file=str(file),
            got="none" if found is None else tuple(found.shape),
            expected=str((count, width)),
            fix="tuning.init=vocabulary, or a run of the same model and length",
        )
    return found
