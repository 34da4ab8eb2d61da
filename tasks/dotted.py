"""Names of Python things in declarations: ``package.module.thing``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from formats.errors import DeclarationError, UnknownName


def resolve(path: str) -> Any:
    """What ``path`` names; raises DeclarationError or UnknownName."""
    module, _, name = path.rpartition(".")
    if not module:
        raise DeclarationError(
            "a dotted path without a module", got=path, expected="package.module.thing"
        )
    try:
        found = import_module(module)
    except ImportError as error:
        raise DeclarationError(
            f"{module!r} cannot be imported: {error}",
            got=path,
            fix="install it, or correct the dotted path",
        ) from error
    if not hasattr(found, name):
        raise UnknownName("attribute", path, [f"{module}.{n}" for n in dir(found) if n[0] != "_"])
    return getattr(found, name)
