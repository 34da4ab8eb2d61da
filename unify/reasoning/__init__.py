"""Prompts that make a language model reason before it answers."""

from .chain import Chain, Outcome, Sampling, ZeroShot
from .demos import Demo
from .layout import Layout
from .least_to_most import Decomposed, LeastToMost
from .lm import LM, EngineLM
from .questions import Question, question
from .self_ask import Asked, SelfAsk
from .vote import Vote, vote

__all__ = [
    "LM",
    "Asked",
    "Chain",
    "Decomposed",
    "Demo",
    "EngineLM",
    "Layout",
    "LeastToMost",
    "Outcome",
    "Question",
    "Sampling",
    "SelfAsk",
    "Vote",
    "ZeroShot",
    "question",
    "vote",
]
