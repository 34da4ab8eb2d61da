"""unify serve run=<run> [host=127.0.0.1] [port=8000] [key=value ...]

Answers over HTTP, with a page at http://<host>:<port>/ (needs `pip install unify-nlp[serve]`):

  POST /ask           {"type": "classify", "text": "…", "labels": ["good", "bad"]}
  GET  /about         the formats and types that the run answers, and the limits
  GET  /health        200, or 503 when the worker has stopped
  GET  /metrics       counts and times, for Prometheus
  GET  /openapi.json  the schema

run=[<run>,<run>] serves several, one per format; a language model answers as generate and entail.
Limits: queue=64 requests inside (then 503), batch=32 are answered together, wait=0.01 s for them to
join; body= bytes, text= characters, options= labels, work= characters over all prompts of a
request, seconds= until 504, upload= seconds to send. threads=1 device=cpu
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formats.errors import ConfigError

from ..config import Plain, assignments, check_keys, need

if TYPE_CHECKING:
    from ..unified import Unified

OWN = ("run", "host", "port", "threads", "device")


def run(arguments: Sequence[str]) -> int:
    app, values = made(arguments)
    import uvicorn

    # The worker gives Python's lock away at each of its many small operations, and at the default
    # of 5 ms would wait that long for it every time while clients keep the other thread busy.
    sys.setswitchinterval(2e-4)
    host, port = str(values.get("host", "127.0.0.1")), _whole(values, "port", 8000)
    print(f"http://{host}:{port}/", flush=True)
    uvicorn.run(
        app, host=host, port=port, log_level="warning", access_log=False,
        limit_concurrency=1024, timeout_keep_alive=5, server_header=False,
    )  # fmt: skip
    return 0


def made(arguments: Sequence[str]) -> tuple[Any, Plain]:
    """The application that ``arguments`` ask for, and their values."""
    values, rest = assignments(arguments)
    origin = need(values, "run", "serve", "runs/<name>")
    try:
        import fastapi
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "serve needs packages of its own", got=error.name, fix="pip install unify-nlp[serve]"
        ) from None
    del fastapi
    from ..serve import Limits, application

    limits = [f.name for f in fields(Limits)]
    check_keys({**values, **dict.fromkeys(rest)}, (*OWN, *limits), "serve")
    bounds = Limits(**{k: values[k] for k in limits if k in values})
    threads = _whole(values, "threads", 1)
    _whole(values, "port", 8000)
    runs = [str(r) for r in origin] if isinstance(origin, list) else [str(origin)]
    import torch

    torch.set_num_threads(threads)
    models: dict[str, Unified] = {}
    for one in runs:
        models |= {k: m for k, m in loaded(one, values.get("device")).items() if k not in models}
    for model in models.values():
        warm(model)
    return application(models, bounds, ", ".join(Path(r).name for r in runs)), values


def _whole(values: Plain, key: str, default: int) -> int:
    value = values.get(key, default)
    if type(value) is not int or not 0 < value < 65_536:
        raise ConfigError(f"{key} is no whole number above 0", got=value,
                          expected=f"one below 65536, as in {key}={default}")  # fmt: skip
    return value


def warm(model: Unified) -> None:
    """One question before the first client's, for the first one loads what others need not."""
    from formats.errors import UnifyError

    with contextlib.suppress(UnifyError):
        model.classify("warm", ["yes", "no"])


def loaded(run: str, device: str | None) -> dict[str, Unified]:
    """The run's model by each format that it answers in, the one it was trained in first."""
    from formats import FORMATS

    from ..runs import few_shot, find
    from ..unified import Unified

    if few_shot(find(run)):
        raise ConfigError("a few-shot method's run is not served", got=run,
                          fix="unify predict can ask it")  # fmt: skip
    model = Unified.load(run, device)
    found = {model.format.name: model}
    for name in model.backbone.format:
        if name not in found:
            found[name] = Unified(model.backbone, FORMATS[name](), seen=model.seen)
    return found
