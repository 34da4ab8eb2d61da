"""Render plans: what plain templates do, as a few Python calls instead of Jinja's machinery.

Most prompts only print fields, print them if they are there, and list options. Such a template is
read once into steps that append pieces of text; anything else, and any row that a step does not
expect, is left to Jinja. Both ways give the same pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from jinja2 import nodes

Fields: TypeAlias = Mapping[str, Any]
Step: TypeAlias = Callable[[Fields, list[str]], None]
# Within a loop: fields, pieces, the item, its number from 0, whether it is the last.
LoopStep: TypeAlias = Callable[[Fields, list[str], str, int, bool], None]


class Unplanned(Exception):
    """A template, or a value of this row, that only Jinja knows how to print."""


def plan(template: nodes.Template) -> Step | None:
    """The steps of a parsed template, or None when it does more than they can."""
    try:
        steps = [s for node in template.body for s in _steps(node)]
    except Unplanned:
        return None
    if len(steps) == 1:
        return steps[0]

    def run(fields: Fields, out: list[str]) -> None:
        for step in steps:
            step(fields, out)

    return run


def _steps(node: nodes.Node) -> list[Step]:
    if isinstance(node, nodes.Output):
        return [_printed(part) for part in node.nodes]
    if isinstance(node, nodes.If):
        return [_if(node)]
    if isinstance(node, nodes.For):
        return [_for(node)]
    raise Unplanned


def _printed(node: nodes.Node) -> Step:
    if isinstance(node, nodes.TemplateData):
        text = node.data
        return lambda fields, out: out.append(text)
    if not isinstance(node, nodes.Name):
        raise Unplanned
    name = node.name

    def show(fields: Fields, out: list[str]) -> None:
        value = fields[name]
        if isinstance(value, str):
            out.append(value)
        elif value is not None:
            raise Unplanned

    return show


def _if(node: nodes.If) -> Step:
    if node.elif_ or not isinstance(node.test, nodes.Name):
        raise Unplanned
    name = node.test.name
    yes = [s for n in node.body for s in _steps(n)]
    no = [s for n in node.else_ for s in _steps(n)]

    def choose(fields: Fields, out: list[str]) -> None:
        for step in yes if fields[name] else no:
            step(fields, out)

    return choose


def _for(node: nodes.For) -> Step:
    if (
        node.else_
        or node.test
        or node.recursive
        or not isinstance(node.target, nodes.Name)
        or not isinstance(node.iter, nodes.Name)
    ):
        raise Unplanned
    name, target = node.iter.name, node.target.name
    if (texts := _list_texts(node.body, target)) is not None:
        return _list(name, *texts)
    steps = [s for n in node.body for s in _loop_steps(n, target)]

    def loop(fields: Fields, out: list[str]) -> None:
        items = fields[name]
        if not isinstance(items, (list, tuple)):
            raise Unplanned
        last = len(items) - 1
        for number, item in enumerate(items):
            if not isinstance(item, str):
                raise Unplanned
            for step in steps:
                step(fields, out, item, number, number == last)

    return loop


def _data(body: Sequence[nodes.Node]) -> str | None:
    """The text of a body that prints one text and nothing else."""
    parts = [p for n in body for p in (n.nodes if isinstance(n, nodes.Output) else [n])]
    if len(parts) == 1 and isinstance(parts[0], nodes.TemplateData):
        return parts[0].data
    return None


def _list_texts(body: Sequence[nodes.Node], target: str) -> tuple[str, str] | None:
    """What stands behind each item, and what between two, in a loop that only lists its items."""
    shown, *rest = body
    if not isinstance(shown, nodes.Output) or len(rest) > 1:
        return None
    item, *more = shown.nodes
    if not isinstance(item, nodes.Name) or item.name != target:
        return None
    behind = _data(more) if more else ""
    between = _unless_last_text(rest[0]) if rest else ""
    return None if behind is None or between is None else (behind, between)


def _unless_last_text(node: nodes.Node) -> str | None:
    """The text of ``{% if not loop.last %}text{% endif %}``."""
    if not isinstance(node, nodes.If) or node.elif_ or node.else_:
        return None
    if isinstance(node.test, nodes.Not) and _of_loop(node.test.node, "last"):
        return _data(node.body)
    return None


def _list(name: str, behind: str, between: str) -> Step:
    """The most common loop of all, without a call per piece."""

    def show(fields: Fields, out: list[str]) -> None:
        items = fields[name]
        if not isinstance(items, (list, tuple)):
            raise Unplanned
        for item in items:
            if not isinstance(item, str):
                raise Unplanned
            out += (item, behind, between) if behind else (item, between)
        if items:
            out.pop()

    return show


def _of_loop(node: nodes.Node, attribute: str) -> bool:
    """Whether ``node`` is ``loop.<attribute>``."""
    return (
        isinstance(node, nodes.Getattr)
        and isinstance(node.node, nodes.Name)
        and node.node.name == "loop"
        and node.attr == attribute
    )


def _loop_steps(node: nodes.Node, target: str) -> list[LoopStep]:
    if isinstance(node, nodes.Output):
        return [_loop_printed(part, target) for part in node.nodes]
    if isinstance(node, nodes.If) and not node.elif_ and not node.else_:
        test = node.test
        if isinstance(test, nodes.Not) and _of_loop(test.node, "last"):
            inner = [s for n in node.body for s in _loop_steps(n, target)]
            return [_unless_last(inner)]
    raise Unplanned


def _unless_last(steps: Sequence[LoopStep]) -> LoopStep:
    def run(fields: Fields, out: list[str], item: str, number: int, last: bool) -> None:
        if not last:
            for step in steps:
                step(fields, out, item, number, last)

    return run


def _loop_printed(node: nodes.Node, target: str) -> LoopStep:
    if isinstance(node, nodes.TemplateData):
        text = node.data
        return lambda fields, out, item, number, last: out.append(text)
    if isinstance(node, nodes.Name):
        if node.name == target:
            return lambda fields, out, item, number, last: out.append(item)
        shown = _printed(node)
        return lambda fields, out, item, number, last: shown(fields, out)
    if (
        isinstance(node, nodes.Getitem)
        and isinstance(node.node, nodes.Name)
        and node.node.name not in (target, "loop")
        and _of_loop(node.arg, "index0")
    ):
        name = node.node.name

        def pick(fields: Fields, out: list[str], item: str, number: int, last: bool) -> None:
            value = fields[name][number]
            if not isinstance(value, str):
                raise Unplanned
            out.append(value)

        return pick
    raise Unplanned
