"""Importers: collections of tasks in the layouts they come in, to declarations of our own.

An importer is a module with ``sniff(path)``, whether a file is of its layout, and
``found(files)``, the tasks in the files that belong together. ``unit(path)`` says, by the path
alone, which those are; without it each file stands for itself.
"""

from __future__ import annotations

from ._found import Bad, Found
from ._survey import IMPORTERS, Nothing, files_of, survey
from ._write import taken, write

__all__ = ["IMPORTERS", "Bad", "Found", "Nothing", "files_of", "survey", "taken", "write"]
