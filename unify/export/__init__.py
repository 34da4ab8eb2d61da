"""A finished run as a plain Hugging Face folder, with a model card."""

from .folder import export

__all__ = ["export"]
