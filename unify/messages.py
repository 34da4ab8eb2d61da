"""Every error message of ours, as a page generated from the code.

    python -m unify.messages [word]

Lists where an error is raised, what it says, what it expects and how to mend it; with a word, only
the messages that hold it. Parts that are only known at run time stand in braces.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("formats", "tasks", "unify")
ERRORS = frozenset({
    "UnifyError", "RowError", "DeclarationError", "UnknownName", "TemplateError", "UnsupportedCell",
    "ConfigError", "LeakError", "DataError", "RunError", "BadLoss",
})  # fmt: skip
# These name what is close to what was given, whatever the call says.
MENDED = frozenset({"UnknownName"})


@dataclass(frozen=True)
class Message:
    """One place that makes an error; ``expected`` and ``fix`` are None where it says neither."""

    file: str
    line: int
    error: str
    what: str
    expected: str | None
    fix: str | None

    @property
    def helps(self) -> bool:
        """Whether it says what belongs there, or how to mend it."""
        return self.error in MENDED or self.expected is not None or self.fix is not None


def _said(node: ast.expr | None) -> str | None:
    """The text of an argument, with braces around what is made at run time."""
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return None
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                parts.append(f"{{{ast.unparse(part.value)}}}")
            else:
                parts.append(_said(part) or "")
        return "".join(parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return f"{_said(node.left)}{_said(node.right)}"
    return f"{{{ast.unparse(node)}}}"


def _of(call: ast.Call, file: str) -> Message | None:
    name = call.func.id if isinstance(call.func, ast.Name) else None
    if name not in ERRORS:
        return None
    named = {k.arg: k.value for k in call.keywords}
    first = call.args[0] if call.args else named.get("what")
    what = _said(first) or ""
    if name in MENDED:
        what = f"unknown {what}"
    open_ = None in named  # **arguments: what they hold is not known here
    expected = "{…}" if open_ else _said(named.get("expected"))
    return Message(file, call.lineno, str(name), what, expected, _said(named.get("fix")))


def messages(root: Path | None = None) -> Iterator[Message]:
    """All messages of the three packages below ``root``, file by file."""
    top = root or Path(__file__).parents[1]
    for package in PACKAGES:
        for path in sorted((top / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            file = path.relative_to(top).as_posix()
            calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
            found = [m for m in (_of(call, file) for call in calls) if m is not None]
            yield from sorted(found, key=lambda m: m.line)


def page(listed: list[Message]) -> str:
    """``listed`` as text, a heading per file."""
    lines = []
    last = ""
    for message in listed:
        if message.file != last:
            lines += ["", message.file]
            last = message.file
        lines.append(f"  {message.line}  {message.error}: {message.what}")
        for name, text in (("expected", message.expected), ("to mend", message.fix)):
            if text is not None:
                lines.append(f"        {name}: {text}")
    return "\n".join([f"{len(listed)} messages", *lines])


if __name__ == "__main__":
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        print(page([m for m in messages() if word in m.what or word in m.file]), flush=True)
    except BrokenPipeError:  # whoever read it closed it, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
