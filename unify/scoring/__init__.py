"""Scores and generations of language models, text in and numbers out."""

from .engine import Engine
from .load import load
from .requests import Coded, Request, Score
from .rules import RULES
from .trie import Trie
from .write import Writing, Written, write, write_samples

__all__ = [
    "RULES",
    "Coded",
    "Engine",
    "Request",
    "Score",
    "Trie",
    "Writing",
    "Written",
    "load",
    "write",
    "write_samples",
]
