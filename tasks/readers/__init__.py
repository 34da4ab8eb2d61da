"""Readers: one published file layout each, to plain rows (dicts). No row is dropped here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .conllu import conllu
from .contrast import boolq_contrast
from .documents import json_document, json_lines, squad
from .exams import logiqa_blocks
from .instructions import (
    bigbench,
    instruction_induction,
    metaicl,
    natural_instructions,
    p3,
    self_instruct,
)
from .joined import grouped, matching
from .lm_eval import lm_eval
from .oracle import extractive
from .plain import plain_text
from .reading import drop, quac
from .relations import fewrel, semeval_relations
from .tables import delimited, lines, parallel, per_file, tab_separated
from .tagged import conll, parallel_tags, token_tags
from .xml import xml_elements

Row = dict[str, Any]
# A reader takes the split's file, or {column: file} for `parallel` and `per_file`, and its options.
Reader = Callable[..., Iterator[Row]]

READERS: dict[str, Reader] = {
    "csv": delimited,
    "tsv": tab_separated,
    "text": lines,
    "parallel": parallel,
    "per_file": per_file,
    "json": json_document,
    "jsonl": json_lines,
    "squad": squad,
    "conll": conll,
    "conllu": conllu,
    "token_tags": token_tags,
    "parallel_tags": parallel_tags,
    "quac": quac,
    "drop": drop,
    "fewrel": fewrel,
    "semeval_relations": semeval_relations,
    "xml": xml_elements,
    "logiqa": logiqa_blocks,
    "boolq_contrast": boolq_contrast,
    "grouped": grouped,
    "matching": matching,
    "extractive": extractive,
    "plain_text": plain_text,
    "natural_instructions": natural_instructions,
    "metaicl": metaicl,
    "bigbench": bigbench,
    "p3": p3,
    "instruction_induction": instruction_induction,
    "self_instruct": self_instruct,
    "lm_eval": lm_eval,
}

__all__ = ["READERS", "Path", "Reader", "Row"]
