"""A finished run as an HTTP service with a page: questions in, answers and scores out."""

from .app import application
from .limits import Limits

__all__ = ["Limits", "application"]
