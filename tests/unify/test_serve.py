"""The HTTP service: the model's own answers, honest refusals, a page in a real browser."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from unify_helpers import tiny

import formats
from unify import Unified

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("httpx", reason="the extra `test` is not installed")
import httpx
from fastapi.testclient import TestClient

from formats.examples import QuestionAnswering
from formats.instances import ScoredSpan, Spans
from unify.serve import Limits, application
from unify.serve.answer import marks
from unify.serve.batcher import Batcher, Full, Job

TEXT = "Ann keeps three red boats in the harbour of Port Lund."
LABELS = ["boats", "dogs", "rain"]
CLASSIFY = {"type": "classify", "text": TEXT, "labels": LABELS}
ASKS: dict[str, dict[str, Any]] = {
    "classify": {"labels": LABELS},
    "multilabel": {"labels": LABELS},
    "choose": {"options": LABELS, "context": "It rains."},
    "answer": {"question": "Who keeps boats?", "several": True},
    "tag": {"types": ["person", "place"]},
    "relate": {"labels": LABELS, "head": "Ann", "tail": "Port Lund"},
    "rate": {"low": 0.0, "high": 5.0},
    "generate": {},
}


@pytest.fixture(scope="module")
def models() -> dict[str, Unified]:
    lm = tiny("llama", "generate", window=256, config={"max_position_embeddings": 512})
    return {
        "extract": Unified(tiny("bert", "extract", tokenizer="wordpiece"), formats.Extract()),
        "generate": Unified(lm, formats.Generate()),
        "entail": Unified(lm, formats.Entail(max_words=2)),
    }


@pytest.fixture(scope="module")
def client(models: dict[str, Unified]) -> Iterator[TestClient]:
    with TestClient(application(models, Limits(work=200_000), "boats")) as made:
        yield made


@pytest.mark.parametrize("format", ["extract", "generate", "entail"])
def test_it_answers_as_the_model_does(
    format: str, client: TestClient, models: dict[str, Unified]
) -> None:
    model = models[format]
    for kind, more in ASKS.items():
        asked = {"type": kind, "text": TEXT, "format": format, "explain": True, **more}
        found = client.post("/ask", json=asked)
        if kind == "generate" and format != "generate":
            assert found.status_code == 422
            assert found.json()["error"]["what"] == f"generate cannot be asked as {format}"
            continue
        assert found.status_code == 200, found.text
        value = found.json()
        assert value["format"] == format and value["prompts"] and value["count"] >= 1
        if kind == "classify":
            ours = model.classify(TEXT, LABELS)
            assert value["answer"] == ours.answer
            assert value["scores"] == pytest.approx(ours.scores, abs=1e-4)
        if kind == "tag":
            assert value["answer"] == model.tag(TEXT, ["person", "place"]).answer
            for mark in value["marks"]:
                assert TEXT[mark["start"] : mark["end"]]
        if kind == "relate":
            assert [TEXT[m["start"] : m["end"]] for m in value["marks"]] == ["Ann", "Port Lund"]


def test_the_prompt_is_what_the_model_reads(client: TestClient) -> None:
    found = client.post("/ask", json={**CLASSIFY, "format": "extract", "explain": True,
                                      "instruction": "What is it?"}).json()  # fmt: skip
    assert found["prompts"] == [
        "[CLS] what is it? [SEP] options : boats, dogs, rain. ann keeps three red boats in the "
        "harbour of port lund. [SEP]"
    ] and found["count"] == 1


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        ('{"type": ', 400, "the request is no JSON"),
        ("[" * 50_000, 400, None),
        ({"type": "dance", "text": "x"}, 422, "a request in another shape"),
        ({"type": "classify", "text": 3, "labels": ["a", "b"]}, 422, "a request in another shape"),
        ({"type": "classify", "text": "x"}, 422, "classify needs labels"),
        ({**CLASSIFY, "types": ["a"]}, 422, "classify does not read types"),
        ({**CLASSIFY, "colour": "red"}, 422, "a request in another shape"),
        ({**CLASSIFY, "labels": ["a"] * 201}, 422, "too many labels"),
        ({**CLASSIFY, "labels": ["a", "a"]}, 422, None),
        ({**CLASSIFY, "labels": ["", " "]}, 422, None),
        ({**CLASSIFY, "text": "x" * 60_000}, 422, "text is too long"),
        ({**CLASSIFY, "text": "x" * 300_000}, 413, "the request is too large"),
        ('{"type": "generate", "format": "generate", "text": "\\ud83d"}', 422,
         "half of a character"),
        ('{"type": "generate", "text": "x", "\\ud800": 1}', 422, "a request in another shape"),
        ({**CLASSIFY, "format": "dance"}, 422, "unknown format 'dance'"),
        ({**CLASSIFY, "language": "xx"}, 422, None),
        ({"type": "rate", "text": "x", "low": 0, "high": 1e9}, 422, "a scale with too many steps"),
        ('{"type": "rate", "text": "x", "high": NaN}', 422, "a request in another shape"),
        ({"type": "relate", "text": "x", "head": "y", "tail": "x", "labels": ["a", "b"]}, 422,
         "the head does not stand in the text"),
        ({"type": "tag", "text": "a word " * 5000, "types": ["a", "b"], "format": "entail"}, 413,
         "more work than one request may make"),
    ],
)  # fmt: skip
def test_hostile_requests_are_told_what_is_wrong(
    client: TestClient, body: Any, status: int, what: str | None
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    found = client.post("/ask", content=text, headers={"content-type": "application/json"})
    assert found.status_code == status, found.text
    error = found.json()["error"]
    assert set(error) == {"what", "where", "got", "expected", "fix"}
    assert what is None or error["what"] == what
    assert client.post("/ask", json=CLASSIFY).status_code == 200  # and it goes on


def test_odd_texts_are_answered(client: TestClient) -> None:
    for text in ("", "\x00", "</s>[SEP]", "\u202eabc", "😀" * 50, " ", "a" * 5000):
        for format in ("extract", "generate", "entail"):
            found = client.post("/ask", json={**CLASSIFY, "text": text, "format": format})
            assert found.status_code in (200, 422), (text, found.text)
            if found.status_code == 200:
                assert found.json()["answer"] in LABELS


def test_the_mark_stands_where_the_model_read() -> None:
    example = QuestionAnswering("input", "Who?", "Annabel met Ann, and Ann left.")
    read = Spans((ScoredSpan(21, 24, 2.0),))
    assert [m["start"] for m in marks(example, ["Ann"], [read])] == [21]
    assert [m["start"] for m in marks(example, ["Ann"])] == [12]
    assert [m["start"] for m in marks(example, ["nabel", "Bob"])] == [2]


def test_what_it_says_of_itself(client: TestClient) -> None:
    assert client.get("/health").json()["status"] == "ok"
    about = client.get("/about").json()
    assert about["formats"]["extract"]["generate"] and about["formats"]["extract"]["tag"] is None
    assert "/ask" in client.get("/openapi.json").json()["paths"]
    assert client.get("/nothing").json()["error"]["what"] == "Not Found"
    counts = client.get("/metrics").text
    assert 'unify_requests_total{path="/ask",status="200"}' in counts
    assert "default-src 'none'" in client.get("/").headers["content-security-policy"]
    assert "http" not in client.get("/").text.replace("http-", "")  # self-contained


def held(batch: int = 4, room: int = 2) -> tuple[Batcher, threading.Event, list[list[Any]]]:
    """A batcher whose answers wait for the event."""
    go, seen = threading.Event(), []

    def answer(key: str, asked: list[Any]) -> list[Any]:
        go.wait(10)
        seen.append(asked)
        return [ValueError(a) if a < 0 else 2 * a for a in asked]

    return Batcher(answer, room=room, batch=batch, wait=0.05), go, seen


def test_what_waits_is_answered_together_and_never_lost() -> None:
    batcher, go, seen = held()
    later = time.monotonic() + 10
    first = batcher.submit(Job("a", 1, later))
    deadline = time.monotonic() + 5
    while batcher.waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)  # the worker holds the first one alone
    second, third = (batcher.submit(Job("a", n, later)) for n in (2, -3))
    with pytest.raises(Full):
        batcher.submit(Job("a", 4, later))
    go.set()
    assert first.result(5) == 2 and second.result(5) == 4
    with pytest.raises(ValueError, match="-3"):
        third.result(5)
    late = batcher.submit(Job("a", 5, time.monotonic() - 1))
    batcher.close()
    assert seen == [[1], [2, -3]] and late.cancelled() and not batcher.alive


def test_a_full_queue_is_an_honest_503_and_a_late_answer_a_504(models: dict[str, Unified]) -> None:
    class Slow(Unified):
        def predict(self, *args: Any, **kwargs: Any) -> Any:
            time.sleep(0.4)
            return super().predict(*args, **kwargs)

    slow = Slow(models["extract"].backbone, formats.Extract())
    app = application({"extract": slow}, Limits(queue=2, batch=1, seconds=1.0))

    async def many() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await asyncio.gather(*(client.post("/ask", json=CLASSIFY) for _ in range(8)))

    replies = asyncio.run(many())
    codes = sorted(r.status_code for r in replies)
    assert codes.count(200) >= 1 and codes.count(503) >= 3 and set(codes) <= {200, 503, 504}
    busy = next(r for r in replies if r.status_code == 503)
    assert busy.headers["retry-after"] == "1"
    assert busy.json()["error"]["what"] == "too many requests are waiting"


@pytest.fixture(scope="module")
def address(models: dict[str, Unified]) -> Iterator[str]:
    """The service behind a real socket."""
    import uvicorn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(application(models, Limits(upload=0.5)), port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def test_a_slow_sender_is_told_so_and_others_are_answered(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as slow:
        slow.sendall(b"POST /ask HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        assert httpx.post(f"{address}/ask", json=CLASSIFY).status_code == 200
        assert b" 408 " in slow.recv(4096).split(b"\r\n")[0]


def test_many_at_once(address: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        asked = [{**CLASSIFY, "text": f"{i} boats"} for i in range(48)]
        replies = list(pool.map(lambda a: httpx.post(f"{address}/ask", json=a, timeout=30), asked))
    assert {r.status_code for r in replies} <= {200, 503}
    assert sum(r.status_code == 200 for r in replies) >= 32


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), "")


def browse(url: str, folder: Path, picture: Path | None = None) -> str:
    """The page's elements after its scripts have run."""
    out = [f"--screenshot={picture}", "--window-size=1200,1000"] if picture else ["--dump-dom"]
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}",
               "--virtual-time-budget=8000", *out, url]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.stdout


@pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine")
def test_a_person_can_ask_on_the_page(
    address: str, tmp_path: Path, models: dict[str, Unified]
) -> None:
    text = quote("Ann <b>keeps</b> boats")
    link = f"{address}/#type=tag&format=entail&text={text}&types=a|b&ask=1"
    found = browse(link, tmp_path)
    assert 'data-done="yes"' in found
    assert "&lt;b&gt;keeps&lt;/b&gt;" in found and "yes or no?" in found
    answer = models["entail"].tag("Ann <b>keeps</b> boats", ["a", "b"]).answer
    assert found.count("<mark") >= bool(answer)
    found = browse(f"{address}/#type=rate&text=x&high=5&low=9&ask=1", tmp_path)
    error = found[found.index('id="error"') :][:300]
    assert "hidden" not in error.split(">")[0] and "expected:" in error
