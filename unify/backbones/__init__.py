"""Hugging Face models and the heads that the formats need."""

from .base import Backbone, Partial
from .factory import HEADS, build, load, load_pretrained, save
from .tokenizer import train_tokenizer

__all__ = [
    "HEADS",
    "Backbone",
    "Partial",
    "build",
    "load",
    "load_pretrained",
    "save",
    "train_tokenizer",
]
