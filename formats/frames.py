"""Texts that differ in one field only, rendered once: what stands around that field."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from .templates import Field, Template, _environment

# What may print a field other than as it is, or give its name another meaning.
_OTHER_USE = (
    nodes.AssignBlock,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.Macro,
    nodes.ScopedEvalContextModifier,
)


@functools.lru_cache(maxsize=1024)
def _only_printed(source: str, name: str) -> bool:
    """Whether all that ``source`` does with field ``name`` is to print it as it is."""
    tree = _environment().parse(source)
    if next(tree.find_all(_OTHER_USE), None) is not None:
        return False
    printed = [
        node
        for output in tree.find_all(nodes.Output)
        for node in output.nodes
        if isinstance(node, nodes.Name) and node.name == name
    ]
    met = [node for node in tree.find_all(nodes.Name) if node.name == name]
    return len(printed) == len(met)


def around(template: Template, name: str, fields: Mapping[str, Any]) -> Callable[[str], str]:
    """A function from a value of field ``name`` to the text of ``template`` with it.

    The template is rendered once where it only prints the field, and for each value otherwise.
    """
    if not _only_printed(template.source, name):
        return lambda value: template.text({**fields, name: Field(value, name)})
    mark = Field("?", name)
    texts = [""]
    for piece in template.render({**fields, name: mark}).pieces:
        if piece is mark:
            texts.append("")
        else:
            texts[-1] += piece
    return lambda value: value.join(texts)
