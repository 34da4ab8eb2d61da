"""Backbones from plain arguments: built small from a configuration, or loaded from a folder or hub.

This is the one place that knows architectures by name.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from formats.errors import ConfigError, RunError, UnknownName
from formats.layout import Coder, Kind, probe_layout

from .base import Backbone
from .dual import DualBackbone
from .global_pointer import GlobalPointerBackbone
from .lm import CausalBackbone, MaskedBackbone, Seq2SeqBackbone
from .pair import NextSentenceBackbone, PairBackbone
from .span import SpanBackbone

HEADS: dict[str, type[Backbone]] = {
    c.name: c
    for c in (
        SpanBackbone,
        GlobalPointerBackbone,
        PairBackbone,
        DualBackbone,
        NextSentenceBackbone,
        CausalBackbone,
        Seq2SeqBackbone,
        MaskedBackbone,
    )
}
_AUTO = {
    "span": "AutoModel",
    "global_pointer": "AutoModel",
    "pair": "AutoModel",
    "dual": "AutoModel",
    "nsp": "AutoModelForNextSentencePrediction",
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "masked": "AutoModelForMaskedLM",
}
_NATURAL = {
    ("encoder", "generate"): "masked",
    ("encoder", "extract"): "span",
    ("encoder", "entail"): "pair",
    ("causal", "generate"): "causal",
    ("causal", "entail"): "causal",
    ("seq2seq", "generate"): "seq2seq",
    ("seq2seq", "entail"): "seq2seq",
}


def family(config: Any) -> str:
    """``encoder``, ``causal`` or ``seq2seq``, from a Hugging Face configuration."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    if getattr(config, "is_encoder_decoder", False):
        return "seq2seq"
    if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "encoder"
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return "causal" if config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else "encoder"


def head_for(config: Any, format: str, head: str = "auto") -> str:
    """The head's name; raises ConfigError where the model cannot answer in ``format``."""
    kind = family(config)
    if head == "auto":
        found = _NATURAL.get((kind, format))
        if found is None:
            raise ConfigError(
                f"a {kind} model cannot {format}",
                got=config.model_type,
                expected="an encoder",
                fix=f"use model=tiny_encoder with format={format}",
            )
        return found
    if head not in HEADS:
        raise UnknownName("head", head, HEADS)
    if format not in HEADS[head].format:
        raise ConfigError(
            f"head {head} does not answer in the format {format}",
            expected=", ".join(HEADS[head].format),
        )
    return head


def _without_pooler(config: Any, head: str) -> dict[str, bool]:
    """Bare encoders whose class can leave its pooler out do so: our heads read tokens."""
    from transformers import MODEL_MAPPING

    if _AUTO[head] != "AutoModel" or type(config) not in MODEL_MAPPING:
        return {}
    model: Any = MODEL_MAPPING[type(config)]
    signature = inspect.signature(model)
    return {"add_pooling_layer": False} if "add_pooling_layer" in signature.parameters else {}


def layout_kind(model: Mapping[str, Any], format: str) -> Kind:
    """How the ``model`` section's model wants its texts, without loading its weights."""
    from transformers import AutoConfig

    if model["source"] == "pretrained":
        config = AutoConfig.from_pretrained(located(model["name"]), revision=model.get("revision"))
    else:
        config = AutoConfig.for_model(model["architecture"])
    return _layout_kind(head_for(config, format, model["head"]))


def _layout_kind(head: str) -> Kind:
    if head in ("causal", "seq2seq", "masked"):
        return head  # type: ignore[return-value]
    return "encoder"


def _assemble(
    model: Any, tokenizer: Any, head: str, options: Mapping[str, Any], layout: Mapping[str, Any]
) -> Backbone:
    coder = Coder(tokenizer, probe_layout(tokenizer, _layout_kind(head), **layout))
    return HEADS[head](model, coder, **options)


def build(
    *,
    architecture: str,
    config: Mapping[str, Any],
    tokenizer: Any,
    format: str,
    head: str = "auto",
    head_options: Mapping[str, Any] | None = None,
    window: int = 512,
    max_target: int = 64,
    init: Mapping[str, Any] | None = None,
) -> Backbone:
    """A backbone with fresh weights. ``architecture`` is a transformers model type (bert, llama,
    t5 …), ``config`` its configuration; vocabulary and special ids come from ``tokenizer``."""
    import transformers
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if architecture not in CONFIG_MAPPING:
        raise UnknownName("architecture", architecture, list(CONFIG_MAPPING.keys()))
    full = AutoConfig.for_model(
        architecture,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        decoder_start_token_id=tokenizer.bos_token_id,
        **{k: dict(v) if isinstance(v, Mapping) else v for k, v in config.items()},
    )
    chosen = head_for(full, format, head)
    limit = getattr(full, "max_position_embeddings", None)
    if limit is not None and window > limit:
        raise ConfigError(
            "a window longer than the model has positions",
            got=window,
            expected=f"<= {limit}",
            fix="lower model.window, or raise the positions in model.config",
        )
    auto = getattr(transformers, _AUTO[chosen])
    model = auto.from_config(full, **_without_pooler(full, chosen))
    backbone = _assemble(
        model, tokenizer, chosen, head_options or {}, {"window": window, "max_target": max_target}
    )
    if init:
        from .init import initialise

        initialise(backbone, **init)
    return backbone


def _cached(name: str) -> str:
    from tasks.sources import cache_root

    folder = cache_root() / "models" / name
    if not folder.exists():
        raise ConfigError(
            "no model by this name in the cache", got=name, fix=f"unify pretrain name={name}"
        )
    return str(folder)


def located(name: str) -> str:
    """``package:<module>/<path>`` as the folder inside that installed package, ``cache:<name>`` as
    what ``unify pretrain`` left in the cache; else ``name``."""
    if name.startswith("cache:"):
        return _cached(name.removeprefix("cache:"))
    if not name.startswith("package:"):
        return name
    module, _, path = name.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"the package {module!r} is not installed",
            got=name,
            fix='pip install -e ".[test]", or give model.name a folder',
        )
    return str(Path(spec.origin).parent / path)


def load_pretrained(
    name: str,
    *,
    format: str,
    head: str = "auto",
    head_options: Mapping[str, Any] | None = None,
    window: int | None = None,
    max_target: int = 64,
    revision: str | None = None,
) -> Backbone:
    """A backbone from a hub id or a local Hugging Face folder, in float32, without remote code."""
    import torch
    import transformers
    from transformers import AutoConfig, AutoTokenizer

    origin, name = name, located(name)
    try:
        safe: dict[str, Any] = {"revision": revision, "trust_remote_code": False}
        config = AutoConfig.from_pretrained(name, **safe)
        tokenizer = AutoTokenizer.from_pretrained(name, **safe)
        chosen = head_for(config, format, head)
        auto = getattr(transformers, _AUTO[chosen])
        model, info = auto.from_pretrained(
            name,
            revision=revision,
            dtype=torch.float32,
            output_loading_info=True,
            **_without_pooler(config, chosen),
        )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no model could be loaded from {name!r}",
            got=str(error).splitlines()[0],
            expected="a Hugging Face folder or a hub id that this machine can reach",
            fix="give a local folder, or model=tiny_encoder to train from scratch",
        ) from error
    limit = getattr(config, "max_position_embeddings", None) or 512
    # RoBERTa-shaped models count positions from pad + 1.
    room = limit - 2 if config.model_type in ("roberta", "xlm-roberta", "camembert") else limit
    backbone = _assemble(
        model,
        tokenizer,
        chosen,
        head_options or {},
        {"window": min(window or 512, room), "max_target": max_target},
    )
    backbone.origin, backbone.revision = origin, revision
    backbone.fresh = tuple(sorted(info["missing_keys"]))
    return backbone


def save(backbone: Backbone, folder: Path) -> None:
    """Writes a Hugging Face folder, plus ``backbone.json`` and the head as safetensors.

    Of a tuned backbone it writes what was trained, and where the frozen rest is found.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if backbone.tuning is not None:
        from ..tuning import saved

        told = {**_note(backbone), "tuning": saved.note(backbone, folder)}
        (folder / "backbone.json").write_text(json.dumps(told, indent=1))
        return
    backbone.model.save_pretrained(folder)
    backbone.coder.tokenizer.save_pretrained(folder)
    tensors = {
        f"{name}.{key}": value.contiguous().cpu()
        for name, module in backbone.head_modules().items()
        for key, value in module.state_dict().items()
    }
    if tensors:
        save_file(tensors, folder / "head.safetensors")
    (folder / "backbone.json").write_text(json.dumps(_note(backbone), indent=1))


def _note(backbone: Backbone) -> dict[str, Any]:
    layout = backbone.layout
    return {
        "head": backbone.name,
        "options": backbone.head_options(),
        "layout": {"window": layout.window, "max_target": layout.max_target},
    }


def load(folder: Path) -> Backbone:
    """Reads what :func:`save` wrote. Raises RunError when a part is missing."""
    import torch
    import transformers
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoTokenizer

    path = folder / "backbone.json"
    if not path.exists():
        raise RunError(
            "no saved backbone here",
            file=str(folder),
            expected="a folder with backbone.json",
            fix="give the folder of a finished run",
        )
    note = json.loads(path.read_text())
    head = note["head"]
    if head not in HEADS:
        raise UnknownName("head", head, HEADS, file=str(path))
    if "tuning" in note:
        return _load_tuned(note, folder)
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    model = getattr(transformers, _AUTO[head]).from_pretrained(
        folder, dtype=torch.float32, **_without_pooler(config, head)
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    backbone = _assemble(model, tokenizer, head, note["options"], note["layout"])
    backbone.origin = str(folder.resolve())
    weights = folder / "head.safetensors"
    tensors = load_file(weights) if weights.exists() else {}
    for name, module in backbone.head_modules().items():
        own = {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(name + ".")}
        try:
            module.load_state_dict(own)
        except RuntimeError as error:
            raise RunError(
                f"the saved {head} head is missing or torn",
                file=str(weights),
                got=str(error).splitlines()[-1].strip(),
                fix="train the run again",
            ) from None
    return backbone


def _load_tuned(note: Mapping[str, Any], folder: Path) -> Backbone:
    """The frozen backbone from where ``note`` says, and its tuning from ``folder``."""
    from ..tuning import saved

    told, head = note["tuning"], note["head"]
    beside = told["backbone"] == saved.BASE
    place = str(folder / saved.BASE) if beside else told["backbone"]
    if not beside and (Path(place) / "backbone.json").exists():
        backbone = load(Path(place))  # of a run: its head comes with it
    else:
        backbone = load_pretrained(
            place,
            format=HEADS[head].format[0],
            head=head,
            head_options=note["options"],
            revision=told["revision"],
            **note["layout"],
        )
    backbone.origin = None if beside else told["backbone"]
    saved.restore(backbone, told, folder)
    return backbone
