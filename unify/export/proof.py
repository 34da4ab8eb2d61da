"""What was written, loaded by transformers alone, beside the run's own model, on a few texts: the
same tokens and the same numbers."""

from __future__ import annotations

from typing import Any

import torch

from formats.collate import collate, sources
from formats.errors import ConfigError
from formats.features import Group, featurize
from formats.instances import EntailInstance, ExtractInstance, GenerateInstance, Instance
from formats.store import in_memory

from ..backbones import Backbone

PAIRS = (
    ("Ann sells apples in the town, and Bob has 3 boats.", "What does Ann sell? apples"),
    ("It rains.", "The weather is fine today."),
    ("Überall 東京, half a word-", "Is it so? no"),
)
CLOSE = 1e-4  # in logits, relative to the largest of them
ACTIVATION = (
    "for a pair head, train with the activation of the architecture's own classifier: "
    "model.head_options.act=gelu (or tanh, relu)"
)


def prove(backbone: Backbone, model: Any, tokenizer: Any, fix: str) -> float:
    """The largest difference in logits, relative to the largest logit. Raises ConfigError where
    ``tokenizer`` and ``model``, as they were loaded, do not give what the backbone does."""
    model.to(backbone.device).eval()
    compare = {"span": _span, "pair": _pair, "nsp": _pair}.get(backbone.name, _words)
    worst = 0.0
    for first, second in PAIRS:
        with torch.inference_mode():
            ours, theirs = compare(backbone, model, tokenizer, first, second)
        gap = float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1.0))
        worst = max(worst, gap)
    if not worst < CLOSE:
        raise ConfigError(
            "the plain class gives other scores than the run",
            got=f"{type(model).__name__} is off by {worst:.2g}",
            expected=f"below {CLOSE:g} of the largest logit",
            fix=fix,
        )
    return worst


def _rows(backbone: Backbone, instance: Instance) -> Any:
    return [in_memory(r) for r in featurize([Group(0, [instance])], backbone.coder)]


def _given(tokenizer: Any, ids: torch.Tensor, *texts: str) -> Any:
    """What ``tokenizer`` makes of ``texts``. Raises ConfigError unless that is ``ids [1, L]``."""
    given = tokenizer(*texts, return_tensors="pt").to(ids.device)
    if given["input_ids"].tolist() != ids.tolist():
        raise ConfigError(
            "the tokenizer alone frames texts in another way than the run was trained with",
            got=tokenizer.decode(given["input_ids"][0]),
            expected=tokenizer.decode(ids[0]),
        )
    return given


Two = tuple[torch.Tensor, torch.Tensor]


def _pair(backbone: Any, model: Any, tokenizer: Any, first: str, second: str) -> Two:
    rows = _rows(backbone, EntailInstance(first, second, None))
    batch = collate(rows, backbone.layout, "entail", score=True).to(backbone.device)
    logits = model(**_given(tokenizer, batch.ids, first, second)).logits
    return backbone.odds(batch), logits[:, 1] - logits[:, 0]


def _span(backbone: Any, model: Any, tokenizer: Any, first: str, second: str) -> Two:
    rows = _rows(backbone, ExtractInstance(second, first, None))
    batch = collate(rows, backbone.layout, "extract", score=True).to(backbone.device)
    out = model(**_given(tokenizer, batch.ids, second, first))
    start, end = backbone.head(backbone.hidden(batch))
    assert batch.inside is not None
    inside = batch.inside
    theirs = torch.stack([out.start_logits[inside], out.end_logits[inside]])
    return torch.stack([start[inside], end[inside]]), theirs


def _words(backbone: Any, model: Any, tokenizer: Any, first: str, second: str) -> Two:
    """The logits after (of a masked model: within) a source text."""
    rows = _rows(backbone, GenerateInstance(f"{first}\n{second}", None))
    ids, _ = sources(rows, backbone.layout)
    given = dict(_given(tokenizer, ids.to(backbone.device), f"{first}\n{second}"))
    given.pop("token_type_ids", None)
    if backbone.layout.kind == "seq2seq":
        given["decoder_input_ids"] = ids[:, :1]
    return backbone.model(**given).logits.float(), model(**given).logits.float()
