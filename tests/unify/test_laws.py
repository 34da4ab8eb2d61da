"""What may import what, what is loaded when, and what lies at the top."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("formats", "tasks", "unify")
# Package -> what of ours it must not know, and the libraries that are not its business.
FORBIDDEN = {
    "formats": {"tasks", "unify", "conf", "pytorch_lightning", "lightning", "hydra", "omegaconf",
                "datasets", "transformers"},
    "tasks": {"unify", "conf", "pytorch_lightning", "lightning", "hydra", "omegaconf", "torch",
              "transformers"},
    "unify": {"tests"},
}
FILES = [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, whether at its top or within a function."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            yield ".".join(filter(None, (base, node.module))), node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_import_law(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for module, line in imports(path)
        if module.partition(".")[0] in FORBIDDEN[package]
    ]
    assert broken == []


def test_the_law_sees_what_it_should(tmp_path: Path) -> None:
    found = dict(imports(ROOT / "unify" / "data" / "module.py"))
    assert {"tasks.sampling", "formats.collate", "torch.utils.data"} <= set(found)
    assert "unify.quiet" in dict(imports(ROOT / "unify" / "fit.py"))  # relative, in a function


def test_only_one_place_names_hydra() -> None:
    naming = {
        str(p.relative_to(ROOT)) for p in FILES
        for module, _ in imports(p) if module.partition(".")[0] in ("hydra", "omegaconf")
    }
    assert naming == {"unify/config.py"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("formats", ["torch", "transformers", "datasets", "pyarrow", "pytorch_lightning"]),
        ("tasks", ["torch", "transformers", "datasets", "pytorch_lightning"]),
        ("unify", ["torch", "transformers", "datasets", "pytorch_lightning", "hydra"]),
        ("unify.config", ["torch", "transformers", "datasets", "hydra"]),
        ("unify.evaluate", ["pytorch_lightning", "lightning_fabric"]),
        ("unify.unified", ["pytorch_lightning", "lightning_fabric"]),
        ("unify.reasoning.run", ["pytorch_lightning", "lightning_fabric"]),
    ],
)
def test_an_import_brings_nothing_heavy(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print(sorted(set({absent!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def tracked() -> set[str]:
    """The names at the top that git knows or would take."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
        capture_output=True, text=True, check=False,
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return {line.split("/")[0] for line in done.stdout.splitlines()}


def test_the_top_level() -> None:
    visible = {n for n in tracked() if not n.startswith(".")}
    allowed = {"pyproject.toml", "README.md", "LICENSE", *PACKAGES, "conf", "tests"}
    assert visible <= allowed
    assert allowed - {"README.md"} <= visible


@pytest.mark.parametrize("folder", [*PACKAGES, "conf"])
def test_each_folder_says_what_lives_there(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) > 30


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
