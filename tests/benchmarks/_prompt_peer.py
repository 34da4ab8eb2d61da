"""OpenPrompt's PromptDataLoader: for each line on standard input it renders and tokenizes all texts
once and answers with the seconds; the first answer is the token ids of some rows.

``python _prompt_peer.py TEXTS TOKENIZER``: a JSON list of texts, a tokenizer's folder. Runs with
any interpreter that has OpenPrompt 1.0; imports nothing of ours. What newer transformers no longer
has is given back first: names that are imported and never used here, and the methods that put [CLS]
and [SEP] around a row.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import io
import json
import sys
import time
import types
from pathlib import Path
from typing import Any


class Absent:
    """Stands for a class that is imported and never made."""


class Gone(types.ModuleType):
    """A module that transformers no longer has."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent


class Finder:
    """Finds what no one else has found of transformers."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if not name.startswith("transformers."):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> types.ModuleType:
        return Gone(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        return None


def given_back() -> None:
    """Import names that OpenPrompt asks transformers for."""
    import transformers
    from transformers import optimization
    from transformers.utils import ModelOutput

    sys.meta_path.append(Finder())  # type: ignore[arg-type]
    files = Gone("transformers.file_utils")
    files.ModelOutput = ModelOutput  # type: ignore[attr-defined]
    sys.modules["transformers.file_utils"] = files
    import transformers.tokenization_utils as tokenization

    for place, name in (
        (transformers, "AdamW"), (transformers, "AdafactorSchedule"),
        (optimization, "AdamW"), (optimization, "AdafactorSchedule"),
        (tokenization, "SPECIAL_TOKENS_MAP_FILE"), (tokenization, "PreTrainedTokenizer"),
    ):  # fmt: skip
        if not hasattr(place, name):
            setattr(place, name, Absent)


def framing(tokenizer: Any) -> Any:
    """``tokenizer`` with the two methods of BERT's frame that OpenPrompt calls per row."""
    first, last = [tokenizer.cls_token_id], [tokenizer.sep_token_id]
    framed = type("Framed", (type(tokenizer),), {})
    tokenizer.__class__ = framed
    framed.build_inputs_with_special_tokens = lambda self, ids, pair=None: first + ids + last
    framed.create_token_type_ids_from_sequences = lambda self, ids, pair=None: [0] * (len(ids) + 2)
    framed.get_special_tokens_mask = lambda self, ids, pair=None, **more: [
        1, *[0] * len(ids), 1,
    ]  # fmt: skip
    return tokenizer


def main() -> None:
    texts, folder = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]
    sink, answers = io.StringIO(), sys.stdout
    with contextlib.redirect_stdout(sink):
        given_back()
        from openprompt import PromptDataLoader
        from openprompt.data_utils import InputExample
        from openprompt.plms.mlm import MLMTokenizerWrapper
        from openprompt.prompts import ManualTemplate
        from transformers import AutoTokenizer

        tokenizer = framing(AutoTokenizer.from_pretrained(folder))
        template = ManualTemplate(tokenizer, text='{"placeholder":"text_a"} It was {"mask"}')
    rows = [InputExample(guid=k, text_a=text, label=0) for k, text in enumerate(texts)]

    def loader(rows: list[Any]) -> Any:
        with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            return PromptDataLoader(
                rows, template, tokenizer=tokenizer, tokenizer_wrapper_class=MLMTokenizerWrapper,
                max_seq_length=128, batch_size=64,
            )  # fmt: skip

    shown = []
    for row in loader(rows[:50]).tensor_dataset:
        real = [i for i, m in zip(row["input_ids"], row["attention_mask"], strict=True) if m]
        shown.append([int(i) for i in real])
    print(json.dumps(shown), file=answers, flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        made = loader(rows)
        taken = time.perf_counter() - begun
        assert len(made.tensor_dataset) == len(rows)
        print(taken, file=answers, flush=True)


if __name__ == "__main__":
    main()
