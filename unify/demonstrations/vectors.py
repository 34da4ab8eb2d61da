"""Texts as vectors of length one, whose products are cosines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formats.errors import ConfigError

Rows = NDArray[np.float32]


def bag_of_words(fit: Sequence[str], *texts: Sequence[str]) -> tuple[Any, ...]:
    """TF-IDF of words, weighted on ``fit`` (the pool; never the unseen rows), for ``fit`` and for
    each of ``texts``, as sparse rows. Needs no weights. A text without a known word is zero."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = TfidfVectorizer(token_pattern=r"(?u)\w+", sublinear_tf=True, dtype=np.float32)
    try:
        made.fit(fit)
    except ValueError as error:
        raise ConfigError(
            "a pool of texts without a word",
            got=list(fit[:3]),
            fix="choose demonstrations at random",
        ) from error
    return tuple(made.transform(part) for part in (fit, *texts))


def encoded(name: str, texts: Sequence[str], *, batch: int = 32, window: int = 256) -> Rows:
    """Mean of a sentence encoder's last layer over a text's tokens, ``[texts, size]``.

    ``name``: a folder, a hub id or ``package:<module>/<path>``. Texts are cut at ``window``."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from ..backbones.factory import located

    try:
        tokenizer = AutoTokenizer.from_pretrained(located(name), trust_remote_code=False)
        safe = {"dtype": torch.float32, "trust_remote_code": False}
        model = AutoModel.from_pretrained(located(name), **safe).eval()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no sentence encoder could be loaded from {name!r}",
            got=str(error).splitlines()[0],
            fix="give a local folder, or use the bag of words",
        ) from error
    order = sorted(range(len(texts)), key=lambda k: -len(texts[k]))
    out = np.zeros((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for at in range(0, len(order), batch):
            part = order[at : at + batch]
            given = tokenizer(
                [texts[k] for k in part],
                padding=True,
                truncation=True,
                max_length=window,
                return_tensors="pt",
            )
            hidden = model(**given).last_hidden_state
            mask = given["attention_mask"][..., None].to(hidden)
            mean = (hidden * mask).sum(1) / mask.sum(1)
            out[part] = torch.nn.functional.normalize(mean, dim=-1).numpy()
    return out
