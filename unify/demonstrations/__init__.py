"""Which labelled examples are shown before a query, and in which order. Plain functions: numbers
of a pool in, numbers out."""

from .choose import balanced, diverse, first, nearest, random_k, relevant_and_diverse
from .order import chosen_order, global_entropy, local_entropy, mutual_information, orders
from .vectors import bag_of_words, encoded

__all__ = [
    "bag_of_words",
    "balanced",
    "chosen_order",
    "diverse",
    "encoded",
    "first",
    "global_entropy",
    "local_entropy",
    "mutual_information",
    "nearest",
    "orders",
    "random_k",
    "relevant_and_diverse",
]
