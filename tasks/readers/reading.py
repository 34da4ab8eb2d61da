"""Reading comprehension in other layouts than SQuAD's: QuAC's dialogues and DROP's passages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from formats.errors import DataError

from .documents import load_json

_NO_ANSWER = "CANNOTANSWER"


def quac(path: Path, *, turns: int = 2, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """QuAC (Choi et al. 2018): questions of a dialogue about one passage.

    Yields ``{id, title, context, question, history, answers: [{text, start}], yesno, followup}``;
    ``history`` is the last ``turns`` questions with their answers, one per line. The passage's
    closing mark ``CANNOTANSWER`` is taken away, and an answer that is this mark is no answer.
    """
    document = load_json(path, encoding)
    paragraph = -1
    try:
        for article in document["data"]:
            for part in article["paragraphs"]:
                paragraph += 1
                said: list[str] = []
                for qa in part["qas"]:
                    answers = [(a["text"], a["answer_start"]) for a in qa["answers"]]
                    yield {
                        "id": str(qa["id"]),
                        "title": article.get("title", ""),
                        "context": part["context"].removesuffix(_NO_ANSWER).rstrip(),
                        "question": qa["question"],
                        "history": "".join(said[-turns:]) if turns else "",
                        "answers": [
                            {"text": text, "start": start}
                            for text, start in answers
                            if text != _NO_ANSWER
                        ],
                        "yesno": qa.get("yesno", ""),
                        "followup": qa.get("followup", ""),
                    }
                    answer = qa.get("orig_answer", qa["answers"][0])["text"]
                    answer = "unanswerable" if answer == _NO_ANSWER else answer
                    said.append(f"{qa['question']} {answer}\n")
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise DataError(
            f"not in the QuAC layout: {error!r}",
            file=str(path),
            paragraph=paragraph,
            expected="data / paragraphs / context, qas / question, answers / text, answer_start",
        ) from None


def _drop_answer(answer: dict[str, Any]) -> str:
    """A number, a date from day to year, or the texts of the passage joined by commas."""
    if answer.get("number"):
        return str(answer["number"])
    if answer.get("spans"):
        return ", ".join(answer["spans"])
    date = answer.get("date") or {}
    return " ".join(date[k] for k in ("day", "month", "year") if date.get(k))


def drop(path: Path, *, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """DROP (Dua et al. 2019): ``{passage id: {passage, qa_pairs: [{question, answer}]}}``.

    Yields ``{id, passage_id, passage, question, kind, answers: [text, …]}``: the answer as one
    text, then those of further annotators; ``kind`` is number, spans or date.
    """
    document = load_json(path, encoding)
    name = ""
    try:
        for name, entry in document.items():
            for qa in entry["qa_pairs"]:
                given = [qa["answer"], *qa.get("validated_answers", [])]
                texts = [text for text in map(_drop_answer, given) if text]
                first = qa["answer"]
                kind = next((k for k in ("number", "spans") if first.get(k)), "date")
                yield {
                    "id": str(qa.get("query_id", "")),
                    "passage_id": name,
                    "passage": entry["passage"].strip(),
                    "question": qa["question"],
                    "kind": kind,
                    "answers": list(dict.fromkeys(texts)),
                }
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"not in the DROP layout: {error!r}",
            file=str(path),
            got=name,
            expected="{passage id: {passage, qa_pairs: [{question, answer: {number, spans}}]}}",
        ) from None
