"""One process of ours: model folder and rows in, log-likelihoods and times out.

``python _scoring_ours.py MODEL ROWS OUT [TOKENS]`` (tokens of one forward pass)
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    folder, data, out, *more = sys.argv[1:]
    from unify.garbage import lasting, own_process

    own_process()  # as the command line does
    with lasting():
        from unify.scoring import Request, load
        from unify.scoring._memory import Budget

    engine = load(folder, budget=Budget(int(more[0])) if more else None)
    rows = [json.loads(line) for line in Path(data).read_text().splitlines()]
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    requests = [Request(r["context"], o) for r in rows for o in r["options"]]
    coded = engine.encode(requests)
    encoded = time.perf_counter()
    scores = engine.score_coded(coded)
    done = time.perf_counter()
    work = engine.work
    result = {
        "logprobs": [s.logprob for s in scores],
        "seconds": done - begun,
        "tokenizing": encoded - begun,
        "loaded_kb": loaded,
        "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "path": engine.path,
        "why": engine.why,
        "work": {k: getattr(work, k) for k in ("tokens", "pairs", "scored", "padded", "passes")},
        "flops": work.flops(engine.model),
        "whole_texts": engine.encoder.whole,
    }
    Path(out).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
