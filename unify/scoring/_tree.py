"""The token tree: sequences that begin alike share their nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from .requests import Ids


@dataclass(slots=True, eq=False)
class Node:
    """Tokens ``start`` to ``end`` (counted from the root) of sequence ``source``.

    ``total`` counts the tokens of the node and of everything below it.
    """

    start: int
    end: int
    source: int
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    total: int = 0

    def __len__(self) -> int:
        return self.end - self.start

    def subtree(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def path(self) -> list[Node]:
        """From the root's child down to this node."""
        out: list[Node] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            out.append(node)
            node = node.parent
        return out[::-1]


def common(a: bytes, b: bytes) -> int:
    """How many leading bytes two byte strings share."""
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    x, y = np.frombuffer(a, np.uint8, n), np.frombuffer(b, np.uint8, n)
    return int((x != y).argmax())


def build(sequences: Sequence[Ids]) -> tuple[Node, list[Node]]:
    """The radix tree of ``sequences`` (none empty) and, per sequence, the node that ends it.

    Sorted neighbours share more than any other pair, so one pass over them is enough.
    """
    keys = [np.asarray(s, dtype=">u4").tobytes() for s in sequences]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    root = Node(0, 0, -1)
    ends: list[Node] = [root] * len(keys)
    top, before = root, b""
    for k in order:
        shared = common(before, keys[k]) // 4
        while top.start >= shared and top.parent is not None:
            top = top.parent
        if top.end > shared:  # the new sequence leaves this node in its middle
            assert top.parent is not None
            upper = Node(top.start, shared, top.source, top.parent, [top])
            top.parent.children[top.parent.children.index(top)] = upper
            top.parent, top.start, top = upper, shared, upper
        if len(sequences[k]) > shared:
            node = Node(shared, len(sequences[k]), k, top)
            top.children.append(node)
            top = node
        ends[k], before = top, keys[k]
    for node in reversed(list(root.subtree())):
        node.total = len(node) + sum(c.total for c in node.children)
    return root, ends
