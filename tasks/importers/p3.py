"""P3: a jsonl file of rendered prompts and completions per template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..readers.instructions import END, p3
from ._answers import closed_set
from ._files import first_object
from ._found import Draft, Found
from ._names import kin, slug

LAYOUT = "p3"
# The datasets that T0 was trained or tested on (Sanh et al. 2022, tables 2 to 5), as file names
# write them. Templates of one dataset share its rows, so that they share cluster and lineage.
DATASETS = (
    "adversarial_qa_dbert", "adversarial_qa_dbidaf", "adversarial_qa_droberta", "ag_news",
    "ai2_arc", "amazon_polarity", "anli", "app_reviews", "cnn_dailymail", "common_gen",
    "commonsense_qa", "cos_e", "cosmos_qa", "dbpedia_14", "dream", "duorc", "gigaword",
    "glue_cola", "glue_mnli", "glue_mrpc", "glue_qnli", "glue_qqp", "glue_rte", "glue_sst2",
    "glue_wnli", "hellaswag", "hotpot_qa", "imdb", "kilt_tasks_hotpotqa", "multi_news",
    "openbookqa", "paws", "piqa", "qasc", "quail", "quarel", "quartz", "quoref", "race",
    "ropes", "rotten_tomatoes", "samsum", "sciq", "social_i_qa", "squad", "squad_v2",
    "super_glue_boolq", "super_glue_cb", "super_glue_copa", "super_glue_multirc",
    "super_glue_record", "super_glue_rte", "super_glue_wic", "super_glue_wsc", "trec",
    "wiki_bio", "wiki_hop", "wiki_qa", "winogrande", "wiqa", "xsum", "yelp_review_full",
)  # fmt: skip


def sniff(path: Path) -> bool:
    return {"prompt", "completion"} <= set(first_object(path))


def dataset_of(name: str) -> str:
    """The dataset whose template ``name`` is: the longest known beginning, else all of it."""
    known = [d for d in DATASETS if name == d or name.startswith(f"{d}_")]
    return max(known, key=len, default=name)


def found(files: Sequence[Path]) -> list[Found]:
    """One task, whose only template is the prompt as it stands."""
    (path,) = files
    rows = list(p3(path))
    labels = closed_set([row["completion"] for row in rows])
    name = slug(path.parent.name if path.stem in ("train", "test", "validation") else path.stem)
    cluster, lineage = kin(dataset_of(name))
    open_ended = sum(not row["ended"] for row in rows)
    return [
        Draft(
            name=f"p3_{name}",
            layout=LAYOUT,
            files={"all": path},
            rows={"all": rows},
            type="TextClassification" if labels else "TextGeneration",
            fields={"text": "prompt", "label": "completion"}
            if labels
            else {"source": "prompt", "targets": "completion"},
            more={
                "cluster": cluster,
                "lineage": lineage,
                "licence": "as the source dataset",
                "prompts": {
                    "instruction": "Give the answer.",
                    "generate": ["{{ text }}" if labels else "{{ source }}"],
                },
            },
            labels=labels,
            group="prompt",
            notes=(f"{open_ended} completions do not end in {END}",) if open_ended else (),
        ).found()
    ]
