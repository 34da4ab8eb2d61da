"""unify preview task=<name> [format=extract] [n=3] [split=train] [template=0] [model=…] [suite=…]

Shows what rows become on their way into a model: the row, the typed example, the instances as the
model reads them, tokens, labels, and what was cut. No model is loaded; the tokenizer is that of
the suite (made once, then cached) or, with model=hf model.name=…, that of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from formats.errors import ConfigError

from ..config import assignments, check_keys, compose, need

KEYS = ("task", "format", "n", "split", "template", "model", "suite")


def _number(values: Mapping[str, Any], key: str, default: int) -> int:
    """A number that is not negative. Raises ConfigError."""
    given = values.get(key, default)
    if type(given) is not int or given < 0:
        raise ConfigError(f"{key} is no number", got=given, expected=f"{key}={default}")
    return given


def run(arguments: Sequence[str]) -> int:
    values, rest = assignments(a for a in arguments if not a.startswith(("model.", "format.")))
    check_keys(values, KEYS, "preview")
    name = str(need(values, "task", "preview", "<name>"))
    own = ("task", "n", "split", "template")
    overrides = [a for a in arguments if a.partition("=")[0] not in own and a not in rest]
    config = compose("train", overrides)

    from formats.errors import UnsupportedCell
    from formats.layout import Coder, probe_layout
    from tasks import catalogue

    from .. import build
    from ..backbones.factory import layout_kind
    from ..preview import preview
    from ..quiet import quiet

    quiet()
    format = build.build_format(config["format"])
    task = catalogue.load(name)
    reason = format.refusal(task.type)
    if reason:
        raise UnsupportedCell(
            f"{name} cannot be asked as {format.name}: {reason}",
            fix="choose another format=…",
            task=name,
        )
    tokenizer = build.build_tokenizer(config["model"], build.build_suite(config["suite"]))
    kind = layout_kind(config["model"], format.name)
    coder = Coder(
        tokenizer,
        probe_layout(
            tokenizer, kind, config["model"]["window"], max_target=config["model"]["max_target"]
        ),
    )
    splits = task.splits()
    split = str(values.get("split") or ("train" if "train" in splits else splits[0]))
    shown = preview(
        task,
        format,
        coder,
        split=split,
        n=_number(values, "n", 3),
        template=_number(values, "template", 0),
    )
    print(f"{task.name} ({task.type.__name__}, split {split}) as {format.name}")
    for i, item in enumerate(shown):
        print(f"\n── {i + 1} " + "─" * 60)
        print("row")
        for key, value in item["row"].items():
            print(f"  {key}: {_short(value)}")
        print(item["type"])
        for key, value in item["example"].items():
            print(f"  {key}: {_short(value)}")
        for instance in item["instances"]:
            print(f"{format.name} instance")
            for line in instance["text"].splitlines():
                print(f"  {_short(line, 600)}")
            print(f"  label: {_short(instance['label'])}")
            if "tokens" in instance:
                print(f"  shared tokens: {_short(instance['tokens'], 600)}")
                print(f"  own tokens: {_short(instance['variant tokens'], 300)}")
        if item["more"]:
            print(f"  … and {item['more']} more instances")
        held = f"; the answer cannot be expressed: {item['held']}" if item["held"] else ""
        print(
            f"longest sequence {item['tokens']} tokens, {item['windows']} window(s), "
            f"{item['cut']} tokens cut{held}"
        )
    return 0


def _short(value: object, most: int = 200) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
