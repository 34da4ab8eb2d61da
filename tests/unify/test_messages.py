"""Every error of ours says what is wrong, and what belongs there or how to mend it."""

from __future__ import annotations

from pathlib import Path

from unify.messages import Message, messages, page

# Reasons of a survey, which lists them beside the template that they are about.
REASONS = "tasks/importers/_ps_"


def test_every_message_helps() -> None:
    found = list(messages())
    assert len(found) > 400
    mute = [f"{m.file}:{m.line} {m.what}" for m in found if not m.helps and REASONS not in m.file]
    assert mute == []
    assert [m for m in found if not m.what.strip()] == []


def test_messages_are_read_off_the_code(tmp_path: Path) -> None:
    for package in ("formats", "tasks", "unify"):
        (tmp_path / package).mkdir()
    (tmp_path / "tasks" / "a.py").write_text(
        'raise RowError(f"{name} is empty", got=1, expected="a text")\n'
        'raise UnknownName("label", label, known)\n'
        'raise DataError("gone", fix=None)\n'
        'raise ValueError("not ours")\n'
    )
    found = list(messages(tmp_path))
    assert found == [
        Message("tasks/a.py", 1, "RowError", "{name} is empty", "a text", None),
        Message("tasks/a.py", 2, "UnknownName", "unknown label", None, None),
        Message("tasks/a.py", 3, "DataError", "gone", None, None),
    ]
    assert [m.helps for m in found] == [True, True, False]
    assert page(found).splitlines() == [
        "3 messages", "", "tasks/a.py", "  1  RowError: {name} is empty",
        "        expected: a text", "  2  UnknownName: unknown label", "  3  DataError: gone",
    ]
