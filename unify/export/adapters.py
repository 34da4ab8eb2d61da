"""A tuned backbone as adapters that `peft` alone loads onto their base model.

The folder has what `peft` writes: adapter_config.json and adapter_model.safetensors, which holds
the head, too, where the base has none. A base model that was made here stands in base/ beside them.
"""

from __future__ import annotations

import copy
import dataclasses
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from formats.errors import ConfigError

from ..backbones import Backbone
from ..backbones.factory import located
from ..tuning.injected import Injected, library
from ..tuning.saved import BASE
from .plain import Plain, plain

MERGED = "export without adapters=true: what goes into the weights is merged"
# None for question answering: the class that peft has for it keeps token types from the model.
_TASKS = {
    "AutoModelForSequenceClassification": "SEQ_CLS",
    "AutoModelForCausalLM": "CAUSAL_LM",
    "AutoModelForSeq2SeqLM": "SEQ_2_SEQ_LM",
}


def injected(backbone: Backbone) -> Injected:
    """The tuning of ``backbone``. Raises ConfigError where `peft` has none like it."""
    tuning = backbone.tuning
    if tuning is None:
        raise ConfigError(
            "a run whose weights were trained whole has no adapters",
            expected="a run with tuning=lora or tuning=ia3",
            fix=MERGED,
        )
    if not isinstance(tuning, Injected):
        raise ConfigError(
            f"peft has no adapters of the kind {tuning.name} that give the run's scores",
            expected="a run with tuning=lora or tuning=ia3",
            fix=MERGED,
        )
    own = [n for n in tuning.trained if n.startswith("model.") and tuning.mark not in n]
    if own:
        raise ConfigError(
            "the model's own parameters were trained beside the adapters",
            got=own[0],
            fix=MERGED,
        )
    return tuning


def write(backbone: Backbone, folder: Path, to: Path) -> Plain:
    """Writes the adapters of the run in ``folder`` into ``to`` and merges ``backbone``; the plain
    model that they and the base make together. Raises ConfigError."""
    from safetensors.torch import save_file

    tuning = injected(backbone)
    tensors, config = parts(backbone, tuning)
    made = plain(backbone)
    bare = made.model is not backbone.model and backbone.model.base_model is backbone.model
    body = f"{made.model.base_model_prefix}." if bare else ""
    for key in {"target_modules", "feedforward_modules"} & set(vars(config)):
        setattr(config, key, [body + name for name in getattr(config, key)])
    tensors = {body + name: tensor for name, tensor in tensors.items()}
    for name in made.head:
        state = made.model.get_submodule(name).state_dict()
        tensors |= {f"{name}.{key}": tensor for key, tensor in state.items()}
    config.modules_to_save = list(made.head) or None
    config.task_type = _TASKS.get(made.auto)
    config.base_model_name_or_path = BASE if backbone.origin is None else located(backbone.origin)
    config.revision = backbone.revision
    config.inference_mode = True
    config.save_pretrained(to)
    whole = {f"base_model.model.{n}": t.detach().cpu().contiguous() for n, t in tensors.items()}
    save_file(whole, to / "adapter_model.safetensors", metadata={"format": "pt"})
    if backbone.origin is None:
        shutil.copytree(folder / "model" / BASE, to / BASE)
        made.model.config.save_pretrained(to / BASE)
        if made.model.can_generate():
            made.model.generation_config.save_pretrained(to / BASE)
    return dataclasses.replace(made, base=config.base_model_name_or_path)


def parts(backbone: Any, tuning: Injected) -> tuple[dict[str, Tensor], Any]:
    """The adapters' tensors by their names in the model, and a configuration for `peft` that
    names the modules which hold them."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    held: dict[str, Any] = {
        n: m for n, m in backbone.model.named_modules() if isinstance(m, BaseTunerLayer)
    }
    config = copy.copy(tuning.config)
    config.target_modules = list(held)
    if hasattr(config, "feedforward_modules"):
        config.feedforward_modules = [n for n, m in held.items() if m.is_feedforward]
    named = backbone.model.named_parameters()
    return {n.replace(".default", ""): p.clone() for n, p in named if tuning.mark in n}, config


def load(auto: str, folder: Path) -> Any:
    """The model that `peft` makes of ``folder`` and its base, in float32. Raises ConfigError."""
    import transformers

    peft = library()
    config = peft.PeftConfig.from_pretrained(folder)
    name = config.base_model_name_or_path
    try:
        base = getattr(transformers, auto).from_pretrained(
            folder / BASE if name == BASE else name, revision=config.revision, dtype=torch.float32
        )
        return peft.PeftModel.from_pretrained(base, folder)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            "adapters that do not go onto their base model",
            got=str(error).splitlines()[0],
            fix=MERGED,
        ) from None
