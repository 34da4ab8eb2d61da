"""Found tasks to YAML files, a file per task."""

from __future__ import annotations

from pathlib import Path

import yaml

from ._found import Found


def taken(folder: Path) -> dict[str, Path]:
    """Names of tasks that are declared elsewhere than in ``folder``, and their files."""
    from .. import catalogue

    home = folder.resolve()
    declared = catalogue.declarations().values()
    return {d.name: d.file for d in declared if d.file.resolve().parent != home}


def write(found: Found, folder: Path) -> bool:
    """Writes ``<folder>/<name>.yaml``; returns whether that made or changed a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found.name}.yaml"
    text = yaml.dump(
        dict(found.declaration), sort_keys=False, allow_unicode=True, width=96, Dumper=_dumper()
    )
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


def _dumper() -> type:
    class Plain(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: object) -> bool:
            return True

    return Plain
