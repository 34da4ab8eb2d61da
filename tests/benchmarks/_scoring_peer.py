"""One process of lm-evaluation-harness: model folder and rows in, log-likelihoods and times out.

``python _scoring_peer.py MODEL ROWS OUT BATCH [BATCH ...]``: with several batch sizes each is
tried, and only the seconds are kept. Runs with the peer's own interpreter; imports nothing of ours.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    folder, data, out, *batches = sys.argv[1:]
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    rows = [json.loads(line) for line in Path(data).read_text().splitlines()]
    lm = HFLM(pretrained=folder, device="cpu", dtype="float32", batch_size=int(batches[0]))
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tried: dict[str, float] = {}
    found: list[Any] = []
    for batch in batches:
        lm.batch_size_per_gpu = int(batch)
        begun = time.perf_counter()
        requests = [
            Instance("loglikelihood", {}, (row["context"], option), k)
            for k, row in enumerate(rows)
            for option in row["options"]
        ]
        found = lm.loglikelihood(requests, disable_tqdm=True)
        tried[batch] = time.perf_counter() - begun
    result = {
        "logprobs": [float(value) for value, _ in found],
        "seconds": tried[batches[-1]],
        "tried": tried,
        "loaded_kb": loaded,
        "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    Path(out).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
