"""Scores that are written down as they come, so that nothing is computed twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from formats.errors import RunError

from .engine import Engine
from .requests import Coded, Request, Score

BLOCK = 4096  # requests that are scored, and written, together


def fingerprint(model: Any) -> str:
    """Changes when a weight, a buffer or the configuration does."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(model.config.to_json_string(use_diff=False).encode())
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


@dataclass
class Kept:
    """An engine with a memory in ``folder``: one JSON line per different request.

    The key holds the weights, the token ids as the model reads them, and what else decides a
    score; a batch size does not. ``computed`` and ``found`` count requests. A run that was killed
    leaves at most one torn line, which is dropped and counted in ``torn``.
    """

    engine: Engine
    folder: Path
    block: int = BLOCK
    weights: str = ""  # a digest of all that the engine computes with; empty: the model's
    computed: int = 0
    found: int = 0
    torn: int = 0
    _known: dict[str, tuple[float, bool]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        model = self.engine.model
        own = self.weights or fingerprint(model)
        said = f"{own} {self.engine.coder.layout.kind} {self.engine.estimator}"
        name = hashlib.blake2b(said.encode(), digest_size=8).hexdigest()
        self.path = self.folder / f"{name}.jsonl"
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        lines = self.path.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines):
            try:
                key, logprob, first = json.loads(line)
                whole = line.endswith(b"\n")
            except ValueError:
                whole = False
            if whole:
                self._known[key] = (float(logprob), bool(first))
            elif number == len(lines) - 1:
                self.torn += 1
                self.path.write_bytes(b"".join(lines[:-1]))
            else:
                raise RunError(
                    "a torn line within the kept scores",
                    file=str(self.path),
                    row=number + 1,
                    fix="remove the file; its scores are computed again",
                )

    def score(
        self, requests: Sequence[Request], advance: Callable[[int], None] = lambda n: None
    ) -> list[Score]:
        """As :meth:`Engine.score`; ``advance`` is told how many requests are done."""
        return self.score_coded(self.engine.encode(requests), advance)

    def score_coded(
        self, coded: Sequence[Coded], advance: Callable[[int], None] = lambda n: None
    ) -> list[Score]:
        """As :meth:`Engine.score_coded`."""
        keys = [_key(c) for c in coded]
        missing = {k: c for k, c in zip(keys, coded, strict=True) if k not in self._known}
        self.found += sum(k not in missing for k in keys)
        advance(sum(k not in missing for k in keys))
        waiting = list(missing.items())
        with self.path.open("a", encoding="utf-8") as sink:
            for at in range(0, len(waiting), self.block):
                part = waiting[at : at + self.block]
                for (key, _), score in zip(
                    part, self.engine.score_coded([c for _, c in part]), strict=True
                ):
                    self._known[key] = (score.logprob, score.greedy)
                    sink.write(json.dumps([key, score.logprob, score.greedy]) + "\n")
                sink.flush()
                self.computed += len(part)
                advance(len(part))
        out = []
        for key, c in zip(keys, coded, strict=True):
            logprob, first = self._known[key]
            out.append(Score(logprob, len(c.ids) - c.begin, c.bytes, first, c.cut))
        return out


def _key(coded: Coded) -> str:
    text = repr((coded.ids, coded.begin, coded.source, coded.after))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
