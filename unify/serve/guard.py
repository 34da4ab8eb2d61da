"""The outermost layer: how large and how slow a request may be, and what every refusal says."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from formats.errors import UnifyError

from .limits import Limits
from .metrics import Metrics

PATHS = ("/", "/ask", "/about", "/health", "/metrics", "/openapi.json")
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy",
     b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
     b"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
     b"frame-ancestors 'none'"),
)  # fmt: skip


def told(error: UnifyError) -> dict[str, Any]:
    """An error as clients read it."""
    return {
        "error": {
            "what": error.what,
            "where": {k: _sent(v) for k, v in error.where.items()},
            "got": None if error.got is None else _sent(error.got),
            "expected": error.expected,
            "fix": error.fix,
        }
    }


def _sent(value: object) -> str:
    """As a text that can be sent: clients may give halves of characters."""
    return str(value)[:200].encode("utf-8", "replace").decode()


class Guard:
    """Wraps an ASGI application: reads each body whole, within bytes and seconds; counts."""

    def __init__(self, app: Any, limits: Limits, metrics: Metrics) -> None:
        self.app, self.limits, self.metrics = app, limits, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), [500]

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        try:
            body = await asyncio.wait_for(self._body(scope, receive), self.limits.upload)
        except asyncio.TimeoutError:
            await refuse(sent, 408, "the request came too slowly",
                         expected=f"all of it within {self.limits.upload:g} s")  # fmt: skip
        else:
            if body is None:
                await refuse(sent, 413, "the request is too large",
                             expected=f"at most {self.limits.body} bytes")  # fmt: skip
            else:
                await self.app(scope, _replay(body, receive), sent)
        path = scope["path"] if scope["path"] in PATHS else "other"
        self.metrics.add(path, status[0], time.perf_counter() - begun)

    async def _body(self, scope: Any, receive: Any) -> bytes | None:
        """The request's bytes; None where there are too many."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self.limits.body:
            return None
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b"".join(parts)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.limits.body:
                return None
            if not message.get("more_body"):
                return b"".join(parts)


def _replay(body: bytes, receive: Any) -> Any:
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return given.pop() if given else await receive()

    return again


async def refuse(send: Any, status: int, what: str, **more: Any) -> None:
    """Sends one of our errors and closes the connection, for its rest may still be coming."""
    payload = json.dumps(told(UnifyError(what, **more))).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"),
               (b"content-length", str(len(payload)).encode())]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload})
