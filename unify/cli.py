"""The `unify` command. Imports nothing heavy until a verb runs, so that help is instant."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from .garbage import lasting, own_process

VERBS = {
    "train": "train across a suite's seen tasks, evaluate on its unseen ones, write a report",
    "evaluate": "a saved run or any Hugging Face model, zero- or few-shot, on other tasks",
    "predict": "ask a saved run about a text, or a csv/jsonl file",
    "preview": "what a row becomes: example, prompt, tokens, labels, cuts",
    "pretrain": "train a language-model head on unlabelled texts of tasks",
    "tasks": "list the tasks; `unify tasks show <name>` describes one",
    "suites": "list the suites; `unify suites check <name>` looks for leaks",
    "reason": "chain of thought and its kin: a language model reasons before it answers",
    "induce": "instructions and tasks that a language model writes: APE, Self-Instruct",
    "align": "a supervised language model does more of what is preferred: PPO, DPO and others",
    "table": "compare finished runs in one table",
    "serve": "a run as an HTTP service with a page",
    "export": "a run as a plain Hugging Face folder with a model card, or a task for lm-eval",
    "compare": "two finished runs row by row: wins, losses, significance, flips",
}

HELP = """unify: one model for many NLP tasks, in three formats

usage: unify <verb> [key=value ...]

{verbs}

examples:
  unify train
  unify train format=entail model=tiny_encoder suite=sample learner=multitask trainer=cpu
  unify train -m format=generate,extract,entail
  unify evaluate run=runs/<name> suite=sample
  unify predict run=runs/<name> type=classify labels=[good,bad] "a lovely day"
  unify preview task=<name> format=extract n=3
  unify tasks

Every verb explains itself: unify <verb> --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit status (0 done, 1 refused with a message, 2 misuse)."""
    if argv is None:
        own_process()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        width = max(map(len, VERBS))
        print(HELP.format(verbs="\n".join(f"  {v:<{width}}  {what}" for v, what in VERBS.items())))
        return 0
    if arguments[0] in ("-V", "--version"):
        from . import __version__

        print(f"unify {__version__}")
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        from formats.errors import did_you_mean

        print(f"unknown verb {verb!r}: {did_you_mean(verb, VERBS)}", file=sys.stderr)
        return 2
    with lasting():
        module = import_module(f".commands.{verb}", __package__)
    if any(a in ("-h", "--help") for a in rest):
        print((module.__doc__ or "").strip())
        return 0
    from formats.errors import UnifyError

    try:
        return int(module.run(rest) or 0)
    except UnifyError as error:
        print(f"unify {verb}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read our output closed it, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"unify {verb}: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
