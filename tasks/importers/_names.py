"""Names: of tasks as files and commands want them, of languages as prompts want them."""

from __future__ import annotations

import functools
import re

from formats.prompts._prompts import LANGUAGES

_CODES = {"english": "en", "chinese": "zh", "simplified chinese": "zh"}


def slug(text: str) -> str:
    """Letters and digits, joined by underscores."""
    return re.sub(r"[\W_]+", "_", text.lower()).strip("_") or "task"


def language_of(name: str) -> tuple[str, list[str]]:
    """The prompts' language for texts in ``name``, and a note where prompts are in another one."""
    code = _CODES.get(name.strip().lower(), name.strip().lower())
    if code in LANGUAGES:
        return code, []
    return "en", [f"texts in {name}, asked in English"]


# Datasets as collections name them: the task of the catalogue that has their rows.
_ALSO = {
    "ai2_arc": "arc_easy", "commonsense_qa": "commonsenseqa", "glue_cola": "cola",
    "glue_mnli": "mnli", "glue_mrpc": "mrpc", "glue_qqp": "qqp", "glue_rte": "rte",
    "glue_sst2": "sst2", "glue_wnli": "wnli", "rotten_tomatoes": "mr", "sst": "sst2",
    "super_glue_boolq": "boolq", "super_glue_cb": "cb", "super_glue_copa": "balanced_copa",
    "super_glue_multirc": "fewglue_multirc", "super_glue_record": "fewglue_record",
    "super_glue_rte": "rte", "super_glue_wic": "wic_text", "super_glue_wsc": "fewglue_wsc",
    "wic": "wic_text", "wiki_qa": "wikiqa", "xquad": "xquad_en", "squad": "xquad_en",
}  # fmt: skip


@functools.lru_cache(maxsize=1)
def _catalogue() -> dict[str, tuple[str, list[str]]]:
    from .. import catalogue

    found = {}
    for name, declared in catalogue.declarations().items():
        lineage = declared.raw.get("lineage") or [name]
        listed = [lineage] if isinstance(lineage, str) else [str(item) for item in lineage]
        found[name] = (str(declared.raw.get("cluster")), listed)
    return found


def kin(dataset: str) -> tuple[str, list[str]]:
    """Cluster and lineage of a dataset: those of the catalogue's task with its rows, so that the
    leak check sees what belongs together; a dataset that is no task here is its own."""
    name = slug(dataset)
    name = name.replace("superglue_", "super_glue_").replace("tweet_eval_", "tweeteval_")
    return _catalogue().get(_ALSO.get(name, name), (name, [name]))
