"""unify export run=<run> to=<folder> [adapters=true] [push=<user>/<name>]
unify export lm-eval <task> to=<folder> [split=test] [limit=500] [template=0]

Writes the model of a finished run as a plain Hugging Face folder, which transformers alone loads:
entail runs for pipeline("zero-shot-classification"), extract runs with a start/end head for
AutoModelForQuestionAnswering, generate runs for AutoModelForCausalLM or AutoModelForSeq2SeqLM.
Before it is written, the plain model is compared with the run's own; a head that no plain class
has (GlobalPointer, say) is refused. Adapters that go into the weights (lora, ia3, bitfit) are
merged; adapters=true keeps those of lora and ia3 apart, as peft.PeftModel.from_pretrained(base,
folder) loads them, with a base model made here in <folder>/base. README.md in the folder is a model
card made from the run's report.

`lm-eval` writes a task's prompts as a multiple-choice task of lm-evaluation-harness instead: its
acc is `unify evaluate … evaluation.rule=sum evaluation.end=false`, its acc_bytes rule=byte.

push= uploads the folder to the Hugging Face hub as a private model, once you are logged in.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

# `unify export <target> …`; without one: folder
TARGETS = {"folder": "..export.folder", "lm-eval": "..export.lm_eval"}


def run(arguments: Sequence[str]) -> int:
    from formats.errors import UnknownName

    words = [a for a in arguments if "=" not in a]
    target = words[0] if words else "folder"
    if target not in TARGETS:
        raise UnknownName("target of export", target, TARGETS)
    rest = list(arguments)
    if words:
        rest.remove(target)
    return int(import_module(TARGETS[target], __package__).run(rest))
