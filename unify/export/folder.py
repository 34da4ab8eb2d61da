"""`unify export run=<run> to=<folder>`: the run's model as a plain Hugging Face folder."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from formats.errors import ConfigError, RunError

from ..config import assignments, check_keys, need

NOTE = "unify.json"


def run(arguments: Sequence[str]) -> int:
    values, rest = assignments(arguments)
    check_keys({**values, **dict.fromkeys(rest)}, ("run", "to", "push", "adapters"), "export")
    origin = need(values, "run", "export", "runs/<name>")
    to = need(values, "to", "export", "<folder>")
    user = None
    if values.get("push"):
        from .push import logged_in

        user = logged_in()  # before the work, for it may refuse
    note = export(str(origin), Path(str(to)), values.get("adapters", False))
    print(f"{to}: {note['auto']}" + (f", pipeline {note['pipeline']}" if note["pipeline"] else ""))
    if user is not None:
        from .push import push

        print(push(Path(str(to)), str(values["push"])))
    return 0


def export(run: str | Path, to: Path, adapters: bool = False) -> dict[str, Any]:
    """Writes the folder ``to`` (whole, or not at all) and returns what its unify.json says.
    ``adapters``: a tuned run's adapters, not merged, for the library `peft`.

    Raises ConfigError where no plain class gives the run's scores, RunError.
    """
    from ..quiet import quiet
    from ..runs import load_run

    quiet()
    if not isinstance(adapters, bool):
        raise ConfigError(
            "adapters is not true or false", got=adapters, expected="adapters=true"
        )
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise RunError(
            "something stands here already", file=str(to), fix="give another to=<folder>"
        )
    backbone, format, _, folder = load_run(run)
    backbone.eval()
    to.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=to.parent, prefix=f".{to.name}-"))
    try:
        note = write(backbone, format, folder, beside, adapters)
        if to.exists():
            to.rmdir()
        beside.chmod(0o755)
        beside.rename(to)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return note


def write(
    backbone: Any, format: Any, folder: Path, to: Path, adapters: bool = False
) -> dict[str, Any]:
    """Model (or adapters), tokenizer, unify.json and the card, into the existing folder ``to``."""
    import torch
    import transformers

    from . import adapters as apart
    from .asked import hypothesis_template, prompts
    from .card import card
    from .plain import plain
    from .proof import ACTIVATION, prove

    tokenizer = plain_tokenizer(backbone)
    tokenizer.save_pretrained(to)
    if adapters:
        made = apart.write(backbone, folder, to)
        model, fix = apart.load(made.auto, to), apart.MERGED
    else:
        made = plain(backbone)
        made.model.save_pretrained(to)
        auto = getattr(transformers, made.auto)
        model, fix = auto.from_pretrained(to, dtype=torch.float32), ACTIVATION
    off = prove(backbone, model, transformers.AutoTokenizer.from_pretrained(to), fix)
    note = {
        "auto": made.auto,
        "pipeline": made.pipeline,
        "format": format.name,
        "head": backbone.name,
        "window": backbone.layout.window,
        "max_target": backbone.layout.max_target,
        "hypothesis_template": hypothesis_template(format)
        if made.pipeline == "zero-shot-classification"
        else None,
        "off": off,
        "prompts": prompts(backbone, format),
        "run": folder.name,
        "base": made.base,
        "revision": backbone.revision,
    }
    (to / NOTE).write_text(json.dumps(note, indent=1, ensure_ascii=False), encoding="utf-8")
    (to / "README.md").write_text(card(note, folder), encoding="utf-8")
    return note


def plain_tokenizer(backbone: Any) -> Any:
    """The tokenizer with what the run knew beside it: the window, the side of the padding, and
    whether the model tells the two texts of a pair apart."""
    from tokenizers import processors

    tokenizer, layout = copy.deepcopy(backbone.coder.tokenizer), backbone.layout
    types = getattr(backbone.model.config, "type_vocab_size", 0) > 1
    names = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    told = {"model_max_length": layout.window, "model_input_names": names}
    if layout.kind == "causal":
        told |= {"padding_side": "left", "pad_token": tokenizer.convert_ids_to_tokens(layout.pad)}
        if layout.single_after:  # nothing may stand between a prompt and what is written
            before = tokenizer.convert_ids_to_tokens(list(layout.single_before))
            tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
                single=[*before, "$A"],
                special_tokens=list(zip(before, layout.single_before, strict=True)),
            )
    for key, value in told.items():
        setattr(tokenizer, key, value)
        tokenizer.init_kwargs[key] = value
    return tokenizer
