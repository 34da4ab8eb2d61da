"""A tokenizer trained on given tasks' rows, within the default model's layout."""

from __future__ import annotations

from collections.abc import Sequence

from formats.layout import Coder
from tasks.suites import Suite
from unify import backbones, build
from unify.config import compose

VOCABULARY, ROWS = 4096, 1000


def coder_for(format: str, tasks: Sequence[str]) -> Coder:
    """What the default model of ``format`` would read texts with, trained on ``tasks``."""
    overrides = [f"format={format}", f"model.tokenizer.vocab_size={VOCABULARY}"]
    config = compose("train", overrides)["model"]
    suite = Suite("benchmark", tuple(tasks), (), {"train": ROWS})
    tokenizer = build.suite_tokenizer(config, suite)
    model = {k: config[k] for k in ("architecture", "config", "window", "max_target")}
    return backbones.build(tokenizer=tokenizer, format=format, **model).coder
