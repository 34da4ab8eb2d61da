"""XML: the elements of one name as rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from formats.errors import DataError


def xml_elements(path: Path, *, element: str) -> Iterator[dict[str, Any]]:
    """One row per ``element``: its attributes, and the text of each child by the child's name.

    White space around a text is layout and goes; children of the same name make a list. External
    entities and document types are not fetched. The encoding is the one that the file declares.
    """
    try:
        with path.open("rb") as stream:
            for _, node in ElementTree.iterparse(stream):
                if node.tag != element:
                    continue
                row: dict[str, Any] = dict(node.attrib)
                for child in node:
                    text = "".join(child.itertext()).strip()
                    if child.tag not in row:
                        row[child.tag] = text
                    elif isinstance(row[child.tag], list):
                        row[child.tag].append(text)
                    else:
                        row[child.tag] = [row[child.tag], text]
                yield row
                node.clear()
    except ElementTree.ParseError as error:
        raise DataError(
            f"not XML: {error}",
            file=str(path),
            expected=f"a document with <{element}> elements",
            fix="fetch the file again",
        ) from None
    except OSError as error:
        raise DataError(
            f"an unreadable file: {error.strerror}", file=str(path), expected="a readable file"
        ) from None
