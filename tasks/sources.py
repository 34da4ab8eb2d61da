"""Where rows come from: files, the Hugging Face hub, a generator, a function.

Every source gives memory-mapped ``datasets.Dataset`` objects per split and a *stamp*, the plain
data that changes when the rows may have changed.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from formats.errors import DataError, UnifyError, UnknownName

from .dotted import resolve
from .readers import READERS
from .readers._open import on_disk
from .readers._patterns import with_patterns
from .readers._unread import UNREAD, Unread, complain, kept

if TYPE_CHECKING:
    from datasets import Dataset

AT_ONCE = 1000  # rows in memory while they are written
# Readers may begin with thousands of empty lists, whose type Arrow cannot know; it is inferred
# over this many rows.
INFER_ROWS = 50_000


class Source(Protocol):
    """Rows of named splits."""

    def splits(self) -> tuple[str, ...]: ...

    def load(self, split: str) -> Dataset:
        """The rows of a split; raises DataError."""

    def stamp(self) -> Any:
        """Plain data that changes when the rows may have changed."""

    def place(self, split: str) -> str:
        """The file or address behind a split, for messages."""


def cache_root() -> Path:
    """Where Arrow files, features, tokenizers and models are kept: ``UNIFY_CACHE``, else
    ``~/.cache/unify``."""
    return Path(os.environ.get("UNIFY_CACHE") or Path.home() / ".cache" / "unify")


def digest(value: Any) -> str:
    """A hex hash of plain data that is the same in every process."""
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _code(function: Callable[..., Any]) -> str:
    """A hash of the package (or lone module) of ``function``: mended code reads again."""
    try:
        file = Path(inspect.getsourcefile(function) or "")
    except TypeError:  # written in C
        return f"{function.__module__}.{function.__qualname__}"
    in_package = "." in function.__module__
    files = sorted(file.parent.glob("*.py")) if in_package else [file]
    return digest([(path.name, path.read_text("utf-8")) for path in files])


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of the ``datasets`` library while a few small files are converted."""
    from datasets import utils

    was = utils.are_progress_bars_disabled()
    utils.disable_progress_bars()
    try:
        yield
    finally:
        if not was:
            utils.enable_progress_bars()


def _own(error: BaseException | None) -> UnifyError | None:
    """The error raised on purpose that a library wrapped, if there is one."""
    while error is not None:
        if isinstance(error, UnifyError):
            return error
        error = error.__cause__ or error.__context__
    return None


def converted(rows: Callable[[], Iterator[Mapping[str, Any]]], key: Any, place: str) -> Dataset:
    """Rows written once as an Arrow file named by ``key``, then memory-mapped."""
    import pyarrow as pa
    from datasets import Dataset

    columns: list[str] = []

    def generator() -> Iterator[dict[str, Any]]:
        for row in rows():
            yield {c: row.get(c, absent(c)) for c in columns} if columns else dict(row)

    def absent(column: str) -> str | None:
        return "" if column == UNREAD else None  # so that its type shows in the first rows

    def written(at_once: int) -> Dataset:
        with _quiet():
            return Dataset.from_generator(
                generator,
                cache_dir=str(cache_root() / "arrow"),
                fingerprint=digest(key),
                writer_batch_size=at_once,
            )

    try:
        try:
            made = written(AT_ONCE)
        except Exception as error:
            if _own(error) is not None:
                raise
            # The first rows do not show every column, or not its type.
            columns += dict.fromkeys(c for row in rows() for c in row)
            if not columns:
                raise DataError(
                    "no rows", file=place, expected="at least one row of data"
                ) from error
            made = written(INFER_ROWS)
        pa.default_memory_pool().release_unused()  # what writing took
        return made
    except Exception as error:
        raise no_table(error, place) from error


def no_table(error: Exception, place: str) -> UnifyError:
    """The error of ours behind ``error``, or what it says of rows that could not be written."""
    own = _own(error)
    if own is not None:
        return own.at(file=place)
    return DataError(
        f"rows that do not make a table: {error.__cause__ or error}",
        file=place,
        expected="at least one row, and one type per column",
        fix="correct the format's options, or read the file with an own reader",
    )


def no_parquet(error: Exception, path: Path) -> DataError:
    """What is said of a file that is no parquet."""
    return DataError(
        f"not a parquet file: {error}",
        file=str(path),
        expected="parquet",
        fix="fetch the file again",
    )


@dataclass(frozen=True)
class Files:
    """Local files per split; ``data`` folders lie under the folder named by ``UNIFY_DATA``.

    ``paths[split]`` is one file, or ``{column: file}`` for parallel files. ``format`` names a
    reader, is a dotted path to one, or is ``parquet``.
    """

    folder: str
    under_data: bool
    paths: Mapping[str, str | Mapping[str, str]]
    format: str
    options: Mapping[str, Any] = field(default_factory=dict)
    per_split: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def splits(self) -> tuple[str, ...]:
        return tuple(self.paths)

    def _root(self) -> Path:
        if not self.under_data:
            return Path(self.folder).expanduser()
        root = os.environ.get("UNIFY_DATA")
        if not root:
            raise DataError(
                "the folder of datasets is not known",
                file=self.folder,
                expected=f"a folder that holds {self.folder}",
                fix="set the environment variable UNIFY_DATA to the folder of datasets",
            )
        return Path(root).expanduser() / self.folder

    def at(self, name: str) -> Path:
        """A file beside those of the splits. Raises DataError when the folder is not known."""
        return self._root() / name

    def _files(self, split: str) -> dict[str, Path]:
        paths = self.paths[split]
        named = {"": paths} if isinstance(paths, str) else dict(paths)
        root = self._root()
        found = {column: root / path for column, path in named.items()}
        for path in found.values():
            if not on_disk(path).is_file():
                hint = f"UNIFY_DATA is {os.environ['UNIFY_DATA']}; " if self.under_data else ""
                raise DataError(
                    "a missing file",
                    file=str(path),
                    split=split,
                    expected="a readable file",
                    fix=f"{hint}put the file there, or correct the task's source and splits",
                )
        return found

    def place(self, split: str) -> str:
        paths = self.paths[split]
        return "+".join([paths] if isinstance(paths, str) else paths.values())

    def _stamps(self, split: str) -> list[tuple[str, int, int]]:
        stats = [(str(p.resolve()), on_disk(p).stat()) for p in self._files(split).values()]
        return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]

    def stamp(self) -> Any:
        return [[Path(n).name, size, time] for s in self.paths for n, size, time in self._stamps(s)]

    def load(self, split: str) -> Dataset:
        files = self._files(split)
        if self.format == "parquet":
            return self._parquet(files[""])
        read, code = self.reading(split)
        argument: Any = files.get("", files)
        key = [self._stamps(split), list(files), *code]
        place = str(next(iter(files.values())))
        made = converted(lambda: read(argument), key, place)
        if made.column_names == [UNREAD]:  # not one line is a row: the layout is another one
            try:
                complain(made[0], DataError)
            except DataError as error:
                raise error.at(file=place) from None
        return made

    def reading(
        self, split: str, unread: Unread = kept
    ) -> tuple[Callable[[Any], Iterator[dict[str, Any]]], list[Any]]:
        """What reads a file of ``split``, and plain data that changes when it reads otherwise.

        ``unread``: what becomes of lines that hold no row, where the reader tells lines apart.
        """
        reader = READERS.get(self.format)
        if reader is None:
            if "." not in self.format:
                raise UnknownName("format", self.format, [*READERS, "parquet"])
            reader = resolve(self.format)
        options = {**self.options, **self.per_split.get(split, {})}
        takes = inspect.signature(reader).parameters
        known = [name for name in takes if name != "unread"][1:]
        free = any(p.kind == p.VAR_KEYWORD for p in takes.values())
        for name in options:
            if name == "unread" or not (free or name in known or name == "patterns"):
                raise UnknownName(f"option of format {self.format}", name, known)
        code = [self.format, dict(options), _code(reader)]
        patterns = options.pop("patterns", None) or {}
        tolerant = {"unread": unread} if "unread" in takes else {}

        def rows(argument: Any) -> Iterator[dict[str, Any]]:
            found = reader(argument, **options, **tolerant)
            return with_patterns(found, patterns) if patterns else found

        return rows, code

    def _parquet(self, path: Path) -> Dataset:
        from datasets import load_dataset

        try:
            with _quiet():
                return load_dataset(
                    "parquet", data_files=str(path), split="train", cache_dir=str(cache_root())
                )
        except Exception as error:
            raise no_parquet(error, path) from error


@dataclass(frozen=True)
class Hub:
    """A dataset of the Hugging Face hub at a pinned revision (a commit, or a tag)."""

    id: str
    revision: str
    paths: Mapping[str, str]
    config: str | None = None

    def splits(self) -> tuple[str, ...]:
        return tuple(self.paths)

    def place(self, split: str) -> str:
        return f"hub:{self.id}@{self.revision}/{self.paths[split]}"

    def stamp(self) -> Any:
        return [self.id, self.config, self.revision, dict(self.paths)]

    def load(self, split: str) -> Dataset:
        from datasets import load_dataset

        try:
            with _quiet():
                return load_dataset(
                    self.id,
                    self.config,
                    split=self.paths[split],
                    revision=self.revision,
                    cache_dir=str(cache_root() / "hub"),
                )
        except Exception as error:
            raise DataError(
                f"the hub gave no rows: {error}",
                file=self.place(split),
                expected="a reachable dataset",
                fix="go online, or fill the cache (UNIFY_CACHE)",
            ) from error


@dataclass(frozen=True)
class Generated:
    """Rows of a function, called with ``args``, the split's own arguments and ``split``.

    The function is pure: equal arguments give equal rows. A returned Dataset is taken as it is.
    """

    function: str
    args: Mapping[str, Any]
    per_split: Mapping[str, Mapping[str, Any]]

    def splits(self) -> tuple[str, ...]:
        return tuple(self.per_split)

    def place(self, split: str) -> str:
        return f"{self.function}({split})"

    def _key(self, split: str) -> Any:
        function = resolve(self.function)
        own = dict(self.per_split[split])
        return [self.function, dict(self.args), split, own, _code(function)]

    def stamp(self) -> Any:
        return [self._key(split) for split in self.per_split]

    def load(self, split: str) -> Dataset:
        function = resolve(self.function)
        kwargs = {**self.args, **self.per_split[split], "split": split}
        if inspect.isgeneratorfunction(function):
            return converted(lambda: function(**kwargs), self._key(split), self.place(split))
        from datasets import Dataset

        made = function(**kwargs)
        return made if isinstance(made, Dataset) else Dataset.from_list([dict(r) for r in made])
