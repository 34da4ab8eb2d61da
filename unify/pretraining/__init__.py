"""Pre-training on unlabelled texts: the heads that a published encoder comes without."""

from .masks import blanked, groups_of_entities, groups_of_tokens, groups_of_words
from .pairs import Pair, next_sentences
from .run import OBJECTIVES, Pretraining, evaluate, pretrain

__all__ = [
    "OBJECTIVES",
    "Pair",
    "Pretraining",
    "blanked",
    "evaluate",
    "groups_of_entities",
    "groups_of_tokens",
    "groups_of_words",
    "next_sentences",
    "pretrain",
]
