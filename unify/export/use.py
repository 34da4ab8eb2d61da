"""How each plain class is used without this package, as the card shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Note = Mapping[str, Any]


def _loaded(note: Note, auto: str) -> list[str]:
    """Lines that make ``tokenizer`` and ``model``."""
    if note["base"] is None:
        return [
            f"from transformers import {auto}, AutoTokenizer",
            "",
            'tokenizer = AutoTokenizer.from_pretrained("<this folder>")',
            f'model = {auto}.from_pretrained("<this folder>")',
        ]
    base = "<this folder>/base" if note["base"] == "base" else note["base"]
    return [
        "from peft import PeftModel",
        f"from transformers import {auto}, AutoTokenizer",
        "",
        'tokenizer = AutoTokenizer.from_pretrained("<this folder>")',
        f'base = {auto}.from_pretrained("{base}"{_revision(note)})',
        'model = PeftModel.from_pretrained(base, "<this folder>")',
    ]


def _revision(note: Note) -> str:
    return f', revision="{note["revision"]}"' if note["revision"] else ""


def _code(*lines: str) -> str:
    return "```python\n" + "\n".join(lines) + "\n```"


def _zero_shot(note: Note) -> str:
    alone = note["base"] is None
    code = _code(
        *([] if alone else _loaded(note, note["auto"])),
        "from transformers import pipeline",
        "",
        'ask = pipeline("zero-shot-classification", model="<this folder>")' if alone else
        'ask = pipeline("zero-shot-classification", model=model.merge_and_unload(), '
        "tokenizer=tokenizer)",
        f'ask("what a day", ["good", "bad"], hypothesis_template={note["hypothesis_template"]!r})',
    )
    return (
        f"{code}\n\nLabel 1 is `entailment`, label 0 `not_entailment`. The hypothesis template "
        f"`{note['hypothesis_template']}` is the one that the run used where a task had none of "
        "its own. The logit of label 0 is always zero and that of label 1 the log-odds of yes, so "
        "that the pipeline's scores are the run's, with `multi_label=True` as without."
    )


def _question(note: Note) -> str:
    code = _code(
        *_loaded(note, note["auto"]),
        'given = tokenizer("Who paints?", "Ann Lee paints boats.", return_tensors="pt")',
        "out = model(**given)",
        "scores = out.start_logits[0, :, None] + out.end_logits[0]  # [start, end], start <= end",
    )
    return (
        f"{code}\n\nStart and end were trained as sets with threshold zero: a span is an answer "
        "where both its logits are above zero and no other positive start or end stands between "
        "them; there may be several, and none means that the passage has no answer. Among them the "
        'largest sum is the best. The first token does not stand for "no answer" here.'
    )


def _causal(note: Note) -> str:
    return _writes(note, "AutoModelForCausalLM", "out[0, given.input_ids.shape[1]:]")


def _seq2seq(note: Note) -> str:
    return _writes(note, "AutoModelForSeq2SeqLM", "out[0]")


def _writes(note: Note, auto: str, answer: str) -> str:
    code = _code(
        *_loaded(note, auto),
        'given = tokenizer("<a prompt as below>", return_tensors="pt")',
        "out = model.generate(**given)",
        f"tokenizer.decode({answer}, skip_special_tokens=True)",
    )
    listed = (
        "Hypotheses were answered by comparing the words yes and no"
        if note["format"] == "entail"
        else "Listed options were ranked by their mean log-probability per token"
    )
    return f"{code}\n\n{listed}; the end-of-text token counts as the answer's last one."


def _masked(note: Note) -> str:
    return (
        f"{_code(*_loaded(note, note['auto']))}\n\nThe run scored each listed option by "
        "putting one mask token per token of the option after the prompt, all at once, and taking "
        "the mean log-probability of the option's tokens."
    )


USES: dict[str, Callable[[Note], str]] = {
    "AutoModelForSequenceClassification": _zero_shot,
    "AutoModelForQuestionAnswering": _question,
    "AutoModelForCausalLM": _causal,
    "AutoModelForSeq2SeqLM": _seq2seq,
    "AutoModelForMaskedLM": _masked,
}
