"""Makes the helpers of this folder importable under names of their own.

The suite is collected with ``--import-mode=importlib``, which puts no folder on ``sys.path``.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_HELPERS = {"format_strategies": "strategies.py", "format_tokenizers": "tokenizers_made.py"}

for _name, _file in _HELPERS.items():
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(_file))
        assert _spec is not None and _spec.loader is not None
        _module = importlib.util.module_from_spec(_spec)
        sys.modules[_name] = _module
        _spec.loader.exec_module(_module)
