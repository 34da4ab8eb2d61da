"""Helpers and fixtures of this folder: one cache for the session, tiny models, small tasks.

The suite is collected with ``--import-mode=importlib``, which puts no folder on ``sys.path``.
"""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

_HERE = Path(__file__).parent
_HELPERS = {
    "format_tokenizers": _HERE.parent / "formats" / "tokenizers_made.py",
    "unify_helpers": _HERE / "helpers.py",
    "scripted_lm": _HERE / "scripted.py",
}

for _name, _file in _HELPERS.items():
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, _file)
        assert _spec is not None and _spec.loader is not None
        _module = importlib.util.module_from_spec(_spec)
        sys.modules[_name] = _module
        _spec.loader.exec_module(_module)

if sys.modules["unify_helpers"].DEVICE != "cpu":
    # Tests hand a model what they collate: it should lie where the tiny models do. The product's
    # own modules are imported before, and move theirs by themselves.
    import unify as _unify
    from formats import collate as _collate

    for _found in pkgutil.walk_packages(_unify.__path__, "unify."):
        if not _found.name.endswith("__main__"):
            importlib.import_module(_found.name)

    def _there(*args: Any, _made: Any = _collate.collate, **kwargs: Any) -> Any:
        return _made(*args, **kwargs).to(sys.modules["unify_helpers"].DEVICE)

    _collate.collate = _there


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache folder for the session, and one thread: these models are tiny."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("UNIFY_CACHE")
    threads = torch.get_num_threads()
    os.environ["UNIFY_CACHE"] = str(folder)
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)
    if before is None:
        del os.environ["UNIFY_CACHE"]
    else:
        os.environ["UNIFY_CACHE"] = before
