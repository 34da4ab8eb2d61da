"""An engine from a Hugging Face folder or hub id, whether or not it was trained here."""

from __future__ import annotations

from typing import Any

from formats.errors import ConfigError
from formats.layout import Coder, Kind, probe_layout

from ..devices import device_of
from ..garbage import lasting
from ._memory import keep_freed
from .engine import Engine

_AUTO: dict[str, str] = {
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "encoder": "AutoModelForMaskedLM",
}
_UNBOUNDED = 4096  # the window of models that set no limit to their positions


def load(
    name: str,
    *,
    window: int | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    revision: str | None = None,
    **engine: Any,
) -> Engine:
    """Weights and tokenizer from ``name``, without remote code. ``window`` (tokens) is the
    configuration's own unless given; ``device`` is one of :func:`unify.devices.device_of`;
    ``engine`` goes to :class:`Engine`. Raises ConfigError."""
    place = device_of(device)
    with lasting():
        model, coder = _loaded(name, window, dtype, revision)
    if place.type == "cpu":
        keep_freed()
    return Engine(in_one_kernel(model).to(place), coder, **engine)


def _loaded(
    name: str, window: int | None, dtype: str, revision: str | None
) -> tuple[Any, Coder]:
    import torch
    import transformers
    from transformers import AutoConfig, AutoTokenizer

    from ..backbones.factory import family, located

    place = located(name)
    try:
        safe: dict[str, Any] = {"revision": revision, "trust_remote_code": False}
        config = AutoConfig.from_pretrained(place, **safe)
        tokenizer = AutoTokenizer.from_pretrained(place, **safe)
        found = family(config)
        auto = getattr(transformers, _AUTO[found])
        model = auto.from_pretrained(place, revision=revision, dtype=getattr(torch, dtype))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no language model could be loaded from {name!r}",
            got=str(error).splitlines()[0],
            expected="a Hugging Face folder or a hub id that this machine can reach",
        ) from error
    kind: Kind = "masked" if found == "encoder" else found  # type: ignore[assignment]
    return model, Coder(tokenizer, probe_layout(tokenizer, kind, window or limit(config, model)))


def in_one_kernel(model: Any) -> Any:
    """``model`` with GPT-2's activation as one operation: transformers writes its formula
    (Hendrycks and Gimpel 2016, section 2) out in eight, which take a tenth of a pass. Equal but
    for rounding."""
    from torch import nn
    from transformers.activations import NewGELUActivation

    for part in list(model.modules()):
        for name, child in part.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(part, name, nn.GELU(approximate="tanh"))
    return model


def limit(config: Any, model: Any) -> int:
    """The longest input in tokens that the configuration promises."""
    from torch import nn

    text = config.get_text_config()
    most = int(getattr(text, "max_position_embeddings", None) or _UNBOUNDED)
    # Models in the shape of RoBERTa count positions from the padding's id + 1.
    tables = (
        part.padding_idx for name, part in model.named_modules()
        if isinstance(part, nn.Embedding) and name.endswith("position_embeddings")
    )  # fmt: skip
    return most - max((pad + 1 for pad in tables if pad is not None), default=0)
