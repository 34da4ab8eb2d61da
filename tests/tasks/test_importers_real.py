"""Importers over the published collections under UNIFY_DATA: counts, and rows that survive."""

import os
from collections import Counter
from pathlib import Path

import pytest

from formats import FORMATS, matches, oracle
from tasks import catalogue
from tasks.importers import Bad, Found, Nothing, files_of, survey, write

pytestmark = pytest.mark.skipif(
    not os.environ.get("UNIFY_DATA"), reason="UNIFY_DATA does not name the folder of datasets"
)

# folder -> {type: (tasks, rows)}, rows left out, files that cannot be used, files of no layout
FOLDERS = {
    "natural_instructions_excerpt": ({"TextGeneration": (1, 30)}, 0, 0, 0),
    "metaicl_reference": ({"TextClassification": (1, 22)}, 0, 0, 2),
    "instruction_induction": (
        {"TextGeneration": (21, 10475), "TextClassification": (3, 1467)}, 0, 0, 0,
    ),
    "selfinstruct_seed_tasks": ({"TextGeneration": (1, 175)}, 0, 0, 0),
    "t0_p3_prompts": ({"TextGeneration": (20, 1908), "TextClassification": (10, 1000)}, 0, 2, 0),
    "strategyqa": ({"MultipleChoice": (1, 2290)}, 0, 0, 0),
    "crossfit_splits": ({}, 0, 0, 8),
}  # fmt: skip


def results(folder):
    place = Path(os.environ["UNIFY_DATA"]) / folder
    return [r for _, found in survey(files_of(place)) for r in found]


@pytest.mark.parametrize("folder", FOLDERS)
def test_counts_and_round_trips(folder, tmp_path, monkeypatch):
    types, left_out, bad, unknown = FOLDERS[folder]
    every = results(folder)
    found = [r for r in every if isinstance(r, Found)]
    tasks = Counter(f.type for f in found)
    rows = Counter[str]()
    for f in found:
        rows[f.type] += sum(f.rows.values())
    assert {type: (tasks[type], rows[type]) for type in tasks} == types
    assert sum(sum(f.dropped.values()) for f in found) == left_out
    assert sum(isinstance(r, Bad) for r in every) == bad
    assert sum(isinstance(r, Nothing) for r in every) == unknown
    for f in found:
        write(f, tmp_path)
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    for f in found:
        task = catalogue.load(f.name)
        for split in task.splits():
            assert task.count(split) == f.rows[split]
            examples = list(task.examples(split))
            assert len(examples) == f.rows[split]
            for example in examples[:: max(1, len(examples) // 4)]:
                for name, make in FORMATS.items():
                    if task.supports(name):
                        instances = list(make().encode(example, task.prompt))
                        answer = make().decode(example, task.prompt, map(oracle, instances))
                        assert matches(example, answer), (example.id, name)


def test_the_canary_stays_out():
    import json

    (found,) = results("strategyqa")
    path = Path(os.environ["UNIFY_DATA"]) / "strategyqa" / "task.json"
    canary = json.loads(path.read_text())["canary"].split()[-1]
    assert canary not in str(found.declaration)
    from tasks.readers import READERS

    assert canary not in str(list(READERS["bigbench"](path)))


def test_the_guide_of_a_published_task(tmp_path, monkeypatch):
    (found,) = results("natural_instructions_excerpt")
    write(found, tmp_path)
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    task = catalogue.load("ni_task1146_country_capital")
    assert [d.gold for d in task.demonstrations()] == [("Washington",), ("New Delhi",)]
    assert [n.output for n in task.guide().negative] == ["Rome", "Beijing"]


def test_promptsource_templates():
    """How many of the templates of a dataset ask our task, and why the others do not."""
    place = Path(os.environ["UNIFY_DATA"]) / "promptsource_templates"
    found, bad = Counter[str](), Counter[str]()
    for folder in ("super_glue/copa", "glue/mrpc", "ag_news", "squad", "dream", "gigaword"):
        for _, listed in survey(files_of(place / folder)):
            for r in listed:
                if isinstance(r, Found):
                    found[r.name] += len(r.declaration["prompts"]["generate"])
                elif isinstance(r, Bad):
                    bad[r.problem.split(":")[0]] += r.count
    assert found == {
        "ps_super_glue_copa_balanced_copa": 8,
        "ps_super_glue_copa_fewglue_copa": 8,
        "ps_glue_mrpc_yes_no": 4,
        "ps_glue_mrpc_equivalent_not_equivalent": 1,
        "ps_ag_news_4_words": 4,
        "ps_ag_news_world_news_sports_business_science_and_technology": 2,
        "ps_ag_news_politician_athlete_business_executive_scientist": 1,
        "ps_squad": 4,
        "ps_dream": 2,
    }
    assert bad == {
        "says nothing on some rows": 4,
        "says nothing for 0": 2,
        "asks for another thing": 3,
        "its input shows the answer": 2,
        "no task here has the rows of gigaword": 9,
    }
