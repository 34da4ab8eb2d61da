"""Feature rows scored as one token tree: what their sources share is computed once."""

from __future__ import annotations

from collections.abc import Sequence

from formats.layout import Layout
from formats.store import StoredRow

from ..scoring.engine import Engine
from ..scoring.kept import Kept
from ..scoring.requests import Coded, Score


def lowered(rows: Sequence[StoredRow], layout: Layout, start: int | None) -> list[Coded]:
    """One request per option, framed as collation frames a batch; rows one after the other.

    ``start`` is the token that a seq2seq model's decoder begins with.
    """
    made: list[Coded] = []
    for row in rows:
        source = (*layout.single_before, *row.shared.tolist())
        if layout.kind == "seq2seq":
            assert start is not None
            source = (*source, *layout.single_after)
            made += [Coded((start, *v.tolist()), 1, source=source) for v in row.variant_ids()]
        else:
            made += [Coded((*source, *v.tolist()), len(source)) for v in row.variant_ids()]
    return made


def statements(coded: Sequence[Coded], layout: Layout) -> list[Coded]:
    """Requests of a causal model with their contexts scored, too."""
    first = layout.bos if layout.bos is not None else layout.eos
    before = () if layout.single_before or first is None else (first,)
    begin = max(1, len(layout.single_before))
    return [Coded((*before, *c.ids), begin) for c in coded]


def scored(
    engine: Engine, rows: Sequence[StoredRow], *, whole: bool = False, kept: Kept | None = None
) -> list[list[Score]]:
    """Per row the scores of its options; with ``whole``, of source and option together. Those that
    ``kept`` holds are not computed."""
    layout = engine.coder.layout
    start = getattr(engine.model.config, "decoder_start_token_id", None)
    coded = lowered(rows, layout, start)
    asked = statements(coded, layout) if whole else coded
    found = iter(engine.score_coded(asked) if kept is None else kept.score_coded(asked))
    return [[next(found) for _ in row.widths] for row in rows]
