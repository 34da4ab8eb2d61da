"""Episodes as training steps: bucketed and read where targets stand, against padding all to 1,024.

Both sides take the same weights, the same rows and the same episodes (16 demonstrations and a
query, at most 1,024 tokens, loss on the query's output). One pads every episode to the full length
and computes the logits of every position, as the published code does; the other is
``unify.data.episode_module`` with ``backbone.loss``. A third line has dense targets: the outputs of
all demonstrations in the same pass. Needs the environment variable UNIFY_DATA.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parent))
from _bench import finish, parser, seconds, side_by_side, table

from formats import FORMATS
from formats.collate import Batch
from tasks import catalogue
from tasks.suites import Suite
from unify import build
from unify.data import Preparation, TaskFeatures, prepare
from unify.data.episode_module import EpisodeBatches, EpisodeData
from unify.data.episodes import Episodes

# Single sentences, pairs, choices with and without a context: the mix of MetaICL's hr_to_lr.
TASKS = (
    "ag_news", "sst2", "trec", "cola", "rte", "boolq", "commonsenseqa", "arc_easy", "dream",
    "tweeteval_emotion", "mrpc", "gsm8k",
)  # fmt: skip
WINDOW = 1024
MODEL = {
    "source": "config", "name": None, "architecture": "gpt2", "head": "auto", "head_options": {},
    "config": {"n_embd": 128, "n_layer": 4, "n_head": 4, "n_positions": WINDOW}, "init": {},
    "window": WINDOW, "max_target": 64, "tokenizer": {"vocab_size": 8000},
}  # fmt: skip


@dataclass
class Side:
    """A way to take the steps, and what it has to read for them."""

    batches: Sequence[Any]
    tokens: int  # real ones
    slots: int  # with padding
    targets: int


def ours(batches: Sequence[Batch]) -> Side:
    return Side(
        batches,
        sum(b.tokens for b in batches),
        sum(b.ids.numel() for b in batches),
        sum(int(b.weight) for b in batches),
    )


def to_full_length(batches: Sequence[Batch]) -> Side:
    """The same episodes, padded on the right to the window."""
    made = []
    for b in batches:
        assert b.target is not None
        ids = torch.zeros(len(b.ids), WINDOW, dtype=torch.long)
        mask, target = torch.zeros_like(ids), torch.full_like(ids, -100)
        for k, (row, real) in enumerate(zip(b.ids, b.mask.bool(), strict=True)):
            n = int(real.sum())
            ids[k, :n], mask[k, :n], target[k, :n] = row[real], 1, b.target[k][real]
        made.append((ids, mask, target))
    reading = ours(batches)
    slots = sum(ids.numel() for ids, _, _ in made)
    return Side(made, reading.tokens, slots, reading.targets)


def full_loss(model: Any, ids: Any, mask: Any, target: Any) -> Any:
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    return cross_entropy(
        logits.float().flatten(0, 1), target[:, 1:].flatten(), ignore_index=-100, reduction="sum"
    )


def prepared(rows: int, batch_size: int, steps: int) -> tuple[Any, list[Batch], list[Batch]]:
    """A backbone, and the first steps' batches with the query's targets alone and with all."""
    suite = Suite("episodes", TASKS, (), {"train": rows})
    backbone = build.build_backbone(MODEL, FORMATS["generate"](), suite)
    found = []
    for dense in (False, True):
        settings = Episodes(shots=(16,), dense=dense)
        tasks = [settings.asked(catalogue.load(n)) for n in TASKS]
        p = Preparation(FORMATS["generate"](), backbone.coder, "train", train=True, limit=rows,
                        on_bad_row="skip")  # fmt: skip
        train = [TaskFeatures(t.name, prepare(t, p)) for t in tasks]
        rates = dict.fromkeys(TASKS, 1.0)
        data = EpisodeData(tasks, train, rates, backbone.coder, settings, p.format,
                           batch_size=batch_size)  # fmt: skip
        batches = EpisodeBatches(data.plan, data.maker, lambda: 0)
        found.append(list(islice(iter(batches), steps)))
    return backbone, found[0], found[1]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=200, help="per task")
    arguments.add_argument("--batch-size", type=int, default=8, help="episodes per step")
    arguments.add_argument("--steps", type=int, default=8, help="whole windows are multiples of 8")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=1)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    backbone, sparse, dense = prepared(given.rows, given.batch_size, given.steps)
    backbone.train()
    for module in backbone.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    published = to_full_length(sparse)

    def step(loss: Any) -> None:
        backbone.zero_grad()
        loss.backward()

    def run_ours(batches: Sequence[Batch]) -> float:
        return seconds(lambda: [step(backbone.loss(b)) for b in batches])

    def run_published() -> float:
        return seconds(lambda: [step(full_loss(backbone.model, *b)) for b in published.batches])

    with torch.inference_mode():
        for a, b in zip(sparse, published.batches, strict=True):
            one, other = float(backbone.loss(a)), float(full_loss(backbone.model, *b))
            assert abs(one - other) <= 1e-3 * abs(other), (one, other)
    calls = {
        "padded to 1024": run_published,
        "ours": lambda: run_ours(sparse),
        "ours, dense targets": lambda: run_ours(dense),
    }
    found = side_by_side(calls, given.repeats)
    sides = dict(zip(calls, (published, ours(sparse), ours(dense)), strict=True))
    episodes = given.batch_size * given.steps
    lines = [
        (
            name,
            f"{episodes / took.median:.2f}",
            f"{sides[name].tokens / took.median:,.0f}",
            f"{1 - sides[name].tokens / sides[name].slots:.1%}",
            f"{sides[name].targets / took.median:,.0f}",
            found["padded to 1024"].over(took).show(),
        )
        for name, took in found.items()
    ]
    head = ("", "episodes/s", "real tokens/s", "padding", "targets/s", "times the published")
    print(table(head, lines))
    ratio = found["padded to 1024"].over(found["ours"])
    missed = [] if ratio.median >= 3 else [f"{ratio.show()} times the throughput, bar 3"]
    figures = {name: took.plain() for name, took in found.items()} | {"ratio": ratio.plain()}
    finish("episodes", figures, missed, given.json)


if __name__ == "__main__":
    main()
