"""A tokenizer that cannot be talked into its special tokens.

Told to take no special token out of a text, a tokenizer still finds those that stand in its
model's own vocabulary: to a unigram model "</s>" is a piece like any other.
"""

from __future__ import annotations

import json
import re
from typing import Any

# Signs that no text holds, and a blank, which no piece does.
_UNHEARD = "\U0010fffe \U0010ffff"
_BYTE = re.compile("<0x[0-9A-F]{2}>$")  # what is unknown is written with them
_PLACES = ("{}", "a {} b", "a{}b", " {}")


def _heard(backend: Any, special: dict[int, str]) -> bool:
    """Whether the text of a ``special`` token is encoded as that token."""
    texts = [place.format(word) for word in special.values() for place in _PLACES]
    found = backend.encode_batch(texts, add_special_tokens=False)
    return any(not special.keys().isdisjoint(e.ids) for e in found)


def deafened(backend: Any) -> Any:
    """``backend``, or, where texts can reach its special tokens, one in which they cannot.

    Every other token keeps its id. The token for what is unknown stays in reach.
    """
    from tokenizers import Tokenizer

    added = backend.get_added_tokens_decoder()
    special = {i: t.content for i, t in added.items() if t.special and not _BYTE.match(t.content)}
    if not special or not _heard(backend, special):
        return backend
    whole: dict[str, Any] = json.loads(backend.to_str())
    model = whole["model"]
    vocabulary: Any = model.get("vocab")
    unknown = model.get("unk_token")
    if isinstance(vocabulary, list) and model.get("unk_id") is not None:
        unknown = vocabulary[model["unk_id"]][0]
    special = {i: word for i, word in special.items() if word != unknown}
    if not special or not vocabulary or not _heard(backend, special):
        return backend
    words = set(special.values())
    if isinstance(vocabulary, list):
        model["vocab"] = [[_UNHEARD + w if w in words else w, s] for w, s in vocabulary]
    else:
        model["vocab"] = {_UNHEARD + w if w in words else w: i for w, i in vocabulary.items()}
    for token in whole["added_tokens"]:
        if token["content"] in words:
            token["content"] = _UNHEARD + token["content"]
    whole["post_processor"] = None  # it names them, and frames are put on elsewhere
    made = Tokenizer.from_str(json.dumps(whole))
    made.encode_special_tokens = True
    return made
