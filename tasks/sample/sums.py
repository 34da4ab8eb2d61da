"""Word problems whose answer takes several small steps, with the steps written out.

    Bramor has 4 shells. Monday brings 3. Tuesday takes 2. How many shells are there?
    Monday brings 3: 4 + 3 = 7. Tuesday takes 2: 7 - 2 = 5.

Every step is a sum below 20, which a small model can learn; the answer at once is the sum of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from .names import FIRSTS, LASTS, pool

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FEWEST, MOST, BELOW = 2, 6, 20  # steps of a problem; what is there at any time
_NAMES = 12  # of the sample world's clusters, all of whose names may own something


def rows(split: str, n: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """``n`` rows of ``question``, ``steps`` (the rationale) and ``number``.

    Row ``i`` depends on ``(seed, split, i)`` alone. A problem of one split is in no other:
    every split has owners of its own.
    """
    owners = pool(0, _NAMES, split)
    for index in range(n):
        rng = Random(f"sum {index} of {split} with seed {seed}")
        yield problem(rng, rng.choice(owners), rng.choice(FIRSTS) + rng.choice(LASTS["goods"]))


def problem(rng: Random, owner: str, good: str) -> dict[str, Any]:
    """One problem about what ``owner`` has of ``good``."""
    total = rng.randint(1, 9)
    told, steps = [f"{owner} has {total} {good}."], []
    for day in DAYS[: rng.randint(FEWEST, MOST)]:
        brings = total < 2 or (total < BELOW - 9 and rng.random() < 0.5)
        size = rng.randint(1, 9 if brings else min(9, total - 1))
        verb, sign, after = ("brings", "+", total + size) if brings else (
            "takes", "-", total - size
        )  # fmt: skip
        told.append(f"{day} {verb} {size}.")
        steps.append(f"{day} {verb} {size}: {total} {sign} {size} = {after}.")
        total = after
    question = " ".join([*told, f"How many {good} are there?"])
    return {"question": question, "steps": " ".join(steps), "number": str(total)}
