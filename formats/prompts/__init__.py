"""How each task type is asked in each format: default templates and a task's overrides."""

from ._prompts import LANGUAGES, Prompt, default_prompt

__all__ = ["LANGUAGES", "Prompt", "default_prompt"]
