"""The tasks of the sample world: which cluster asks what, and how each task describes itself."""

from __future__ import annotations

from dataclasses import dataclass

from . import writers
from .domains import DOMAINS, Domain


@dataclass(frozen=True)
class SampleTask:
    """One task: its name, task type and cluster, and what a model needs to be told of it."""

    name: str
    type: str
    cluster: str
    flavor: str
    instruction: str
    labels: tuple[str, ...] = ()
    entity_types: tuple[str, ...] = ()
    scale: tuple[int, int] | None = None


# flavor -> (task type, writer)
FLAVORS: dict[str, tuple[str, writers.Writer]] = {
    "state": ("TextClassification", writers.state_label),
    "goods": ("TextClassification", writers.goods_label),
    "claim": ("TextClassification", writers.claim),
    "labels": ("MultiLabelClassification", writers.goods_labels),
    "who_choice": ("MultipleChoice", writers.who_choice),
    "what_choice": ("MultipleChoice", writers.what_choice),
    "who": ("QuestionAnswering", writers.who_answer),
    "what": ("QuestionAnswering", writers.what_answer),
    "all_who": ("QuestionAnswering", writers.all_who_answer),
    "kinds": ("TokenClassification", writers.kinds_tags),
    "relation": ("RelationClassification", writers.relation_label),
    "count": ("Regression", writers.count_value),
    "goods_card": ("TextGeneration", writers.goods_card),
    "state_card": ("TextGeneration", writers.state_card),
}

# cluster -> the flavors it asks
PLAN: dict[str, tuple[str, ...]] = {
    "kinship": ("state", "relation", "what", "what_choice"),
    "trade": ("goods", "who_choice", "count", "kinds"),
    "travel": ("labels", "kinds", "state_card", "state"),
    "weather": ("state", "what_choice", "count", "labels"),
    "farming": ("labels", "who", "goods_card", "claim"),
    "craft": ("who_choice", "relation", "all_who", "state"),
    "school": ("goods", "kinds", "count", "goods_card", "labels"),
    "festival": ("labels", "what_choice", "all_who", "state"),
    "mining": ("goods", "relation", "who", "kinds", "what_choice"),
    "sea": ("state", "what", "kinds"),
    "music": ("labels", "relation", "goods_card"),
    "court": ("who_choice", "count", "all_who"),
}

# The clusters to keep out of training: together they ask all eight task types.
HELD_OUT = ("sea", "music", "court")


def _describe(domain: Domain, flavor: str) -> SampleTask:
    """The task that ``flavor`` makes of ``domain``."""
    labels: tuple[str, ...] = ()
    entity_types: tuple[str, ...] = ()
    scale: tuple[int, int] | None = None
    if flavor == "state":
        instruction, labels = domain.state_ask, domain.states
    elif flavor in ("goods", "labels"):
        instruction, labels = domain.goods_ask, domain.goods
    elif flavor == "claim":
        instruction, labels = "What does the text say of this claim?", writers.VERDICTS
    elif flavor == "kinds":
        instruction, entity_types = "Which names are of this kind?", domain.kinds
    elif flavor == "relation":
        instruction, labels = "What is the first to the second?", domain.relations
    elif flavor == "count":
        instruction, scale = domain.count_ask, writers.SCALE
    elif flavor in ("goods_card", "state_card"):
        instruction = "Write the card that is asked for."
    else:
        instruction = "Answer the question from the text."
    task_type = FLAVORS[flavor][0]
    name = f"sample_{domain.name}_{flavor}"
    return SampleTask(
        name, task_type, domain.name, flavor, instruction, labels, entity_types, scale
    )


TASKS: tuple[SampleTask, ...] = tuple(
    _describe(domain, flavor) for domain in DOMAINS for flavor in PLAN[domain.name]
)
BY_NAME: dict[str, SampleTask] = {task.name: task for task in TASKS}
