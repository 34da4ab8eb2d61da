"""Twenty samples of a prompt against one: what is computed, and how long it takes.

Self-consistency samples many chains of the same long prompt. Bars: the prompt's tokens go through
the model once, whatever the number of samples; tokens written cost at most as many passes as those
of one sample; and wall time is at most the prompt's once and one sample's decoding for each sample.
Beside it, the same with the prompt repeated for every sample, as `generate` alone does it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import _scoring_data as data
from _bench import Figures, finish, parser, seconds, side_by_side, table

from unify.scoring import Engine, Writing, load, write_samples

PROMPT = (
    "Q: A baker fills 3 trays with 6 rolls each and sells 10 of them. How many rolls are left?\n"
    "A: 3 trays of 6 rolls are 18 rolls. He sells 10, so 18 - 10 = 8. The answer is 8.\n\n"
)


def counted(engine: Engine, prompts: list[str], how: Writing, samples: int) -> tuple[int, int]:
    """Tokens that go through the model before anything is written, and passes after."""
    seen: list[tuple[int, int]] = []

    def note(_: Any, args: Any, given: Any) -> None:
        ids = given["input_ids"]
        seen.append((int(ids.shape[0]), int(ids.shape[1])))

    hook = engine.model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        write_samples(engine, prompts, how, samples)
    finally:
        hook.remove()
    before = sum(rows * width for rows, width in seen if width > 1)
    return before, sum(width == 1 for _, width in seen)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--samples", type=int, default=20)
    arguments.add_argument("--shots", type=int, default=7, help="worked examples in the prompt")
    arguments.add_argument("--tokens", type=int, default=32)
    arguments.add_argument("--repeats", type=int, default=7)
    arguments.add_argument("--width", type=int, default=128)
    arguments.add_argument("--layers", type=int, default=2)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        data.model(folder, width=given.width, layers=given.layers, vocabulary=4000)
        engine = load(str(folder))
    prompts = [PROMPT * given.shots + "Q: How many rolls fit on 7 such trays?\nA:"]
    n, how = given.samples, Writing(tokens=given.tokens, temperature=0.7)
    brief = Writing(tokens=1, temperature=0.7)
    length = len(engine.coder.ids(prompts)[0])

    def repeated() -> None:
        engine.path = "plain"  # nothing is shared
        try:
            write_samples(engine, prompts, how, n)
        finally:
            engine.path = "shared"

    times: dict[str, Figures] = side_by_side(
        {
            "prompt": lambda: seconds(lambda: write_samples(engine, prompts, brief, 1)),
            "one": lambda: seconds(lambda: write_samples(engine, prompts, how, 1)),
            "many": lambda: seconds(lambda: write_samples(engine, prompts, how, n)),
            "repeated": lambda: seconds(repeated),
        },
        given.repeats,
    )
    counts = {k: counted(engine, prompts, how, k) for k in (1, n)}
    decode = times["one"].less(times["prompt"]).median
    bound = times["prompt"].median + n * decode
    rows = [
        [f"prompt ({length} tokens)", counts[1][0], "", times["prompt"].show(3)],
        ["one sample", counts[1][0], counts[1][1], times["one"].show(3)],
        [f"{n} samples", counts[n][0], counts[n][1], times["many"].show(3)],
        [f"{n} samples, prompt repeated", n * length, counts[n][1], times["repeated"].show(3)],
    ]
    print(table(["what", "prompt tokens computed", "passes of one token", "seconds"], rows))
    print(f"\nprompt once and {n} decodes of one sample: {bound:.3f} s; "
          f"{n} samples take {times['many'].median / bound:.2f} of that")  # fmt: skip
    missed = []
    # The last token of the prompt is where each sample begins to write.
    if counts[n][0] > counts[1][0]:
        missed.append(f"prompt tokens {counts[n][0]} > {counts[1][0]}")
    if counts[n][1] > counts[1][1] + 1:
        missed.append(f"passes {counts[n][1]} > {counts[1][1]}")
    if times["many"].median > bound:
        missed.append(f"time {times['many'].median:.3f} s > {bound:.3f} s")
    figures = {"counts": {str(k): v for k, v in counts.items()},
               "seconds": {k: v.plain() for k, v in times.items()}, "bound": bound}  # fmt: skip
    finish("self_consistency", figures, missed, given.json)


if __name__ == "__main__":
    main()
