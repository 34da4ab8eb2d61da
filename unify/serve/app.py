"""The service: /ask, /about, /health, /metrics, /openapi.json and the page at /."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from formats.errors import RowError, UnifyError, UnknownName
from formats.examples import KINDS
from formats.prompts import default_prompt

from ..unified import Unified
from .answer import answers, work
from .ask import MAY, NEEDS, Ask, checked, example_of
from .batcher import Batcher, Full, Job
from .guard import Guard, told
from .limits import Limits
from .metrics import Metrics

PAGE = Path(__file__).parent / "page.html"


def application(
    models: Mapping[str, Unified], limits: Limits | None = None, name: str = "unify"
) -> Any:
    """The ASGI application over ``models``, by the name of the format that each is asked in."""
    bounds = limits or Limits()
    metrics = Metrics()

    def answer(key: str, asked: list[Any]) -> list[Any]:
        return answers(models[key], asked)

    inside = [0]  # requests that are being prepared, wait or are answered
    batcher = Batcher(answer, room=bounds.queue, batch=bounds.batch, wait=bounds.wait)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(batcher.close)

    app = FastAPI(title=f"unify: {name}", docs_url=None, redoc_url=None, lifespan=life)
    _errors(app)

    @app.post("/ask", summary="Ask the model",
              responses={413: {}, 422: {}, 503: {}, 504: {}})  # fmt: skip
    async def ask(asked: Ask) -> JSONResponse:
        begun = time.perf_counter()
        deadline = time.monotonic() + bounds.seconds
        key = asked.format or next(iter(models))
        try:
            if inside[0] >= bounds.queue:
                raise Full
            inside[0] += 1  # before it is prepared, which takes time as well
            try:
                return await _answered(asked, key, deadline, begun)
            finally:
                inside[0] -= 1
        except Full:
            busy = UnifyError("too many requests are waiting", got=bounds.queue, fix="ask later")
            return JSONResponse(told(busy), 503, {"Retry-After": "1"})

    async def _answered(asked: Ask, key: str, deadline: float, begun: float) -> JSONResponse:
        prepared = await asyncio.to_thread(_prepared, models, asked, key, bounds)
        future = batcher.submit(Job(key, prepared, deadline))
        try:
            left = max(0.0, deadline - time.monotonic())
            value = await asyncio.wait_for(asyncio.wrap_future(future), left)
        except (asyncio.TimeoutError, asyncio.CancelledError) as ended:
            if isinstance(ended, asyncio.CancelledError) and not future.cancelled():
                raise  # the client has gone, or the server stops
            late = UnifyError("no answer in time", expected=f"within {bounds.seconds:g} s",
                              fix="ask again later, or ask less")  # fmt: skip
            return JSONResponse(told(late), 504)
        seconds = round(time.perf_counter() - begun, 4)
        return JSONResponse({**value, "type": asked.type, "format": key, "seconds": seconds})

    @app.get("/about", summary="What can be asked")
    async def about() -> Any:
        return {
            "run": name,
            "formats": {key: _kinds(model) for key, model in models.items()},
            "instructions": {kind: default_prompt(kind).instruction for kind in KINDS},
            "needs": NEEDS,
            "may": MAY,
            "limits": vars(bounds),
        }

    @app.get("/health", summary="Whether it answers")
    async def health() -> JSONResponse:
        status = "ok" if batcher.alive else "the worker has stopped"
        return JSONResponse(
            {"status": status, "run": name, "waiting": batcher.waiting},
            200 if batcher.alive else 503,
        )

    @app.get("/metrics", summary="Counts, for Prometheus")
    async def counts() -> PlainTextResponse:
        batches, batched = batcher.sizes
        return PlainTextResponse(metrics.text(batcher.waiting, batches, batched))

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> str:
        return PAGE.read_text(encoding="utf-8")

    app.add_middleware(Guard, limits=bounds, metrics=metrics)
    return app


def _prepared(models: Mapping[str, Unified], asked: Ask, key: str, limits: Limits) -> Any:
    """What the worker needs. Raises UnifyError where the request cannot be asked."""
    if key not in models:
        raise UnknownName("format", key, models, field="format")
    model = models[key]
    checked(asked, limits)
    example = example_of(asked)
    reason = _refusal(model, type(example))
    if reason:
        raise RowError(
            f"{asked.type} cannot be asked as {key}", got=reason, fix="choose another format"
        )
    over = {"instruction": asked.instruction} if asked.instruction else None
    prompt = default_prompt(example.kind, asked.language, over)
    work(model, example, prompt, limits.work)
    return example, prompt, asked.explain


def _refusal(model: Unified, kind: type) -> str | None:
    return model.format.refusal(kind) or model.backbone.refusal(kind, model.format.name)


def _kinds(model: Unified) -> dict[str, str | None]:
    """Task type -> why it cannot be asked, or None."""
    return {kind: _refusal(model, cls) for kind, cls in KINDS.items()}


def _errors(app: FastAPI) -> None:
    """Every refusal in our own shape: what, where, got, expected, fix."""

    @app.exception_handler(UnifyError)
    async def ours(request: Request, error: UnifyError) -> JSONResponse:
        large = isinstance(error, RowError) and error.what.startswith("more work")
        return JSONResponse(told(error), 413 if large else 422)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        broken = first["type"] == "json_invalid"
        field = ".".join(str(p) for p in first["loc"] if p != "body") or "body"
        given = first.get("input")
        wrong = UnifyError(
            "the request is no JSON" if broken else "a request in another shape",
            got=None if broken or isinstance(given, (dict, list)) else repr(given)[:160],
            expected=str(first["msg"]),
            fix="/openapi.json describes requests",
            field=field,
        )
        return JSONResponse(told(wrong), 400 if broken else 422)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        wrong = UnifyError(str(error.detail), got=f"{request.method} {request.url.path}",
                           fix="/openapi.json lists what can be asked")  # fmt: skip
        return JSONResponse(told(wrong), error.status_code)
