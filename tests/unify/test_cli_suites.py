"""unify suites, and what runs do with suites that are cleaned or known by published names."""

from __future__ import annotations

from pathlib import Path

import pytest

from formats import FORMATS
from formats.errors import ConfigError, LeakError
from tasks import suites
from tasks.suites import Suite
from unify.cli import main
from unify.config import compose
from unify.suite_data import load_suite

GENERATE = FORMATS["generate"]()


def test_published_leaks_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suites", "check", "metaicl_non_nli_to_nli", "texts=false"]) == 1
    out = capsys.readouterr().out
    assert "- sick: task also in seen sick: the same task\n" in out
    assert "- glue-wnli: lineage also in seen superglue-wsc: wsc\n" in out
    assert "9 leaks between 55 seen and 8 unseen tasks; 17 and 4 tasks have rows here" in out
    assert "  cluster: 7, of 7 unseen tasks\n" in out
    assert main(["suites", "check", "metaicl_non_nli_to_nli", "texts=false", "clean=true"]) == 0
    out = capsys.readouterr().out
    assert "taken out: sick: cluster, task\n" in out
    assert "metaicl_non_nli_to_nli: 0 leaks between 53 seen and 8 unseen tasks" in out


def test_tasks_are_shown_with_those_that_are_not_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suites", "show", "metaicl_qa_to_qa"]) == 0
    out = capsys.readouterr().out
    assert "2 seen, 3 unseen tasks (not here: 34 seen, 18 unseen)" in out
    assert "  boolq\n" in out and "  hellaswag (not here; on the Hub: Rowan/hellaswag)\n" in out


def test_clusters_are_ready_for_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suites", "clusters", "sample"]) == 0
    found = capsys.readouterr().out.strip().split(",")
    assert len(found) == 12 and found == sorted(found) and "sample_sea" in found
    left_out = ["check", "leave_one_cluster_out", "base=sample", "cluster=sample_sea"]
    assert main(["suites", *left_out, "texts=false"]) == 0
    said = "sample without sample_sea: 0 leaks between 44 seen and 3 unseen tasks"
    assert said in capsys.readouterr().out
    assert main(["suites", "check", "sample", "sen=[a]"]) == 1
    assert "'seen'" in capsys.readouterr().err


def test_a_run_takes_what_is_here_and_says_so() -> None:
    suite = suites.load("metaicl_non_nli_to_nli", limits={"train": 4, "test": 4, "validation": 4})
    ready = load_suite(Suite("s", suite.seen[:2], (), seen_as=suite.seen_as), GENERATE)
    assert [t.name for t in ready.seen] == list(suite.seen[:2]) and not ready.suite.seen_as
    reason = ready.skipped["38 seen tasks of s"]
    assert reason.startswith("no rows here: ade_corpus_v2-classification, ") and "sick" in reason


def test_a_run_cleans_its_suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path))
    names = ("sample_sea_what", "sample_trade_goods"), ("sample_sea_state",)
    limits = {"train": 20, "test": 5}
    with pytest.raises(LeakError):
        load_suite(Suite("s", *names, limits), GENERATE)
    ready = load_suite(Suite("s", *names, limits, clean=suites.LEAKS), GENERATE)
    assert [t.name for t in ready.seen] == ["sample_trade_goods"] and ready.leaks == []
    assert ready.suite.seen == ("sample_trade_goods",) and ready.suite.clean == ()
    assert ready.skipped["sample_sea_what"] == (
        "taken out of the seen tasks: cluster, lineage of sample_sea_state"
    )
    with pytest.raises(ConfigError, match="once it is clean"):
        load_suite(Suite("s", names[0][:1], names[1], limits, clean=suites.LEAKS), GENERATE)


def test_keys_of_suites_may_be_set_that_the_file_lacks() -> None:
    chosen = ["suite=leave_one_cluster_out", "suite.cluster=emotion", "suite.unseen=[trec]"]
    config = compose("train", chosen)["suite"]
    assert config["unseen"] == ["trec"] and config["cluster"] == "emotion"
    assert compose("train", ["suite=sample", "suite.clean=true"])["suite"]["clean"] is True
