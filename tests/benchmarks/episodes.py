"""Episodes as training steps: demonstrations read once, against padding every episode to 1,024.

Both sides take the same weights and the same episodes (16 demonstrations and a query, at most 1,024
tokens, loss on the query's output). One pads every episode to the full length and computes the
logits of every position, as the published code does. The other is ``unify.data.episode_module``
with ``backbone.loss``: episodes of like length together, logits where targets stand, and
``--queries`` episodes that share their demonstrations as one sequence. Each episode's own loss is
compared first: it must be the same on both sides to 1e-4. Lines without a bar: one query for every
draw of demonstrations; dense targets (the outputs of all demonstrations in the same pass).
Seconds are those of the processor. Needs the environment variable UNIFY_DATA.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parent))
from _bench import Figures, finish, parser, side_by_side, table

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
# width, layers, heads, words. The published model has 1280, 36, 20 and 50,257; with few words or
# many layers the output layer counts for less.
SHAPES = {
    "small": (128, 4, 4, 8000),
    "words": (256, 6, 4, 50257),
    "gpt2": (768, 12, 12, 50257),
}
MODEL = {
    "source": "config", "name": None, "architecture": "gpt2", "head": "auto", "head_options": {},
    "init": {}, "window": WINDOW, "max_target": 64, "tokenizer": {"vocab_size": 8000},
}  # fmt: skip
MICRO = 8  # sequences that the published side reads at once


@dataclass
class Side:
    """A way to take the steps, and what it has to read for them."""

    batches: Sequence[Any]
    tokens: int  # real ones
    slots: int  # with padding
    targets: int


def seconds(call: Callable[[], Any]) -> float:
    """Seconds of the processor: other jobs on the machine change them little."""
    gc.collect()
    begun = time.process_time()
    call()
    return time.process_time() - begun


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


def full_losses(model: Any, ids: Any, mask: Any, target: Any) -> Any:
    """The loss of each sequence, summed over its targets."""
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    wide = target[:, 1:]
    return cross_entropy(
        logits.float().flatten(0, 1), wide.flatten(), ignore_index=-100, reduction="none"
    ).view(wide.shape).sum(1)


def built(shape: str, suite: Suite) -> Any:
    """A backbone of ``shape``, with as many words as it says and without dropout."""
    width, layers, heads, words = SHAPES[shape]
    config = {"n_embd": width, "n_layer": layers, "n_head": heads, "n_positions": WINDOW}
    config |= dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    torch.manual_seed(0)
    backbone = build.build_backbone({**MODEL, "config": config}, FORMATS["generate"](), suite)
    backbone.model.resize_token_embeddings(words)
    return backbone.train()


@dataclass
class Plan:
    """The same episodes laid out in every way."""

    shared: list[Batch]  # queries share their demonstrations
    apart: list[Batch]  # a sequence each, padded to the longest of the batch
    full: Side  # a sequence each, padded to the window
    single: list[Batch]  # every query draws demonstrations of its own
    dense: list[Batch]


def planned(backbone: Any, rows: int, batch_size: int, steps: int, queries: int) -> Plan:
    """``batch_size`` queries per step."""
    coder, format = backbone.coder, FORMATS["generate"]()
    tasks = [Episodes().asked(catalogue.load(n)) for n in TASKS]
    p = Preparation(format, coder, "train", train=True, limit=rows, on_bad_row="skip")
    train = [TaskFeatures(t.name, prepare(t, p)) for t in tasks]
    rates = dict.fromkeys(TASKS, 1.0)

    def batches(queries: int, dense: bool, apart: bool = False) -> list[Batch]:
        settings = Episodes(shots=(16,), dense=dense, queries=queries)
        data = EpisodeData(
            tasks, train, rates, coder, settings, format, batch_size=batch_size // queries
        )
        made = EpisodeBatches(data.plan, data.maker, lambda: 0, apart=apart)
        return list(islice(iter(made), steps))

    apart = batches(queries, dense=False, apart=True)
    return Plan(
        batches(queries, dense=False), apart, to_full_length(apart), batches(1, False),
        batches(1, True),
    )  # fmt: skip


def same_losses(backbone: Any, plan: Plan) -> float:
    """The largest relative difference of an episode's loss between the two sides."""
    worst = 0.0
    with torch.inference_mode():
        for ours_, (ids, mask, target) in zip(plan.shared, plan.full.batches, strict=True):
            found = -backbone.log_probabilities(ours_)[0]
            parts = zip(*(x.split(MICRO) for x in (ids, mask, target)), strict=True)
            expected = torch.cat([full_losses(backbone.model, *part) for part in parts])
            worst = max(worst, float(((found - expected).abs() / expected).max()))
    return worst


def compare(shape: str, given: Any) -> tuple[list[tuple[str, ...]], Figures, float]:
    """Table lines, the ratio that has a bar, and the largest difference of losses."""
    backbone = built(shape, Suite("episodes", TASKS, (), {"train": given.rows}))
    plan = planned(backbone, given.rows, given.batch_size, given.steps, given.queries)
    worst = same_losses(backbone, plan)

    def run_ours(batches: Sequence[Batch]) -> float:
        def steps() -> None:
            for batch in batches:
                backbone.zero_grad()
                backbone.loss(batch).backward()

        return seconds(steps)

    def run_published() -> float:
        def steps() -> None:
            for batch in plan.full.batches:
                backbone.zero_grad()
                for part in zip(*(x.split(MICRO) for x in batch), strict=True):
                    full_losses(backbone.model, *part).sum().backward()

        return seconds(steps)

    laid = {
        f"{given.queries} queries share": plan.shared,
        "1 query each": plan.single,
        "1 query each, dense": plan.dense,
    }
    sides = {"padded to 1024": plan.full} | {name: ours(b) for name, b in laid.items()}
    calls: dict[str, Any] = {"padded to 1024": run_published}
    calls |= {name: partial(run_ours, batches) for name, batches in laid.items()}
    found = side_by_side(calls, given.repeats)
    base = found["padded to 1024"]
    lines = [
        (
            f"{shape}: {name}",
            f"{given.batch_size * given.steps / took.median:.2f}",
            f"{sides[name].tokens / took.median:,.0f}",
            f"{1 - sides[name].tokens / sides[name].slots:.1%}",
            f"{sides[name].targets / took.median:,.0f}",
            base.over(took).show(),
        )
        for name, took in found.items()
    ]
    return lines, base.over(found[f"{given.queries} queries share"]), worst


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=200, help="per task")
    arguments.add_argument("--batch-size", type=int, default=8, help="queries per step")
    arguments.add_argument("--queries", type=int, default=4, help="that share demonstrations")
    arguments.add_argument("--steps", type=int, default=8, help="whole windows are multiples of 8")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--shapes", nargs="*", choices=SHAPES, default=["small", "words"])
    given = arguments.parse_args()
    if given.batch_size % given.queries:
        arguments.error("--batch-size must be a multiple of --queries")
    torch.set_num_threads(given.threads)
    rows: list[tuple[str, ...]] = []
    missed, figures = [], {}
    for shape in given.shapes:
        lines, ratio, worst = compare(shape, given)
        rows += lines
        figures[shape] = {"ratio": ratio.plain(), "loss": worst}
        if ratio.median < 3:
            missed.append(f"{shape}: {ratio.show()} times the episodes per second, bar 3")
        if not worst <= 1e-4:
            missed.append(f"{shape}: an episode's loss differs by {worst:.1e}, bar 1e-4")
    head = ("", "episodes/s", "real tokens/s", "padding", "targets/s", "times the published")
    print(table(head, rows))
    for shape in given.shapes:
        width, layers, _, words = SHAPES[shape]
        print(f"{shape}: {layers} layers of width {width}, {words:,} words; an episode's loss is "
              f"the same to {figures[shape]['loss']:.1e}")  # fmt: skip
    finish("episodes", figures, missed, given.json)


if __name__ == "__main__":
    main()
