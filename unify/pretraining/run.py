"""A short pre-training: batches of about so many tokens, the head first, then everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from formats.errors import ConfigError, UnknownName

from ..learners.optim import Optimization
from ..precision import fast_bf16
from ..scoring._logits import only_at
from .masks import blanked, groups_of_entities, groups_of_tokens, groups_of_words
from .pairs import Pair, next_sentences

OBJECTIVES = ("masked", "whole_word", "entity", "next_sentence", "autoregressive")


@dataclass(frozen=True)
class Pretraining:
    """``objectives`` take turns, a step each. ``tokens`` are padded tokens per step, ``longest``
    tokens per text; the first ``head`` share of the ``steps`` trains only what the model came
    without (``fresh`` parameters), from frozen states. ``bf16`` is True, False, or ``auto``: where
    the processor has its instructions."""

    objectives: tuple[str, ...] = ("whole_word",)
    steps: int = 200
    tokens: int = 2048
    longest: int = 64
    share: float = 0.15
    head: float = 0.2
    lr: float = 3e-4
    head_lr: float = 2e-3
    seed: int = 0
    bf16: bool | str = False

    def __post_init__(self) -> None:
        for name in self.objectives:
            if name not in OBJECTIVES:
                raise UnknownName("objective", name, OBJECTIVES)
        if self.bf16 not in (True, False, "auto"):
            raise ConfigError("no such precision", got=self.bf16, expected="bf16=true|false|auto")
        causal = "autoregressive" in self.objectives
        if not self.objectives or (causal and len(self.objectives) > 1):
            raise ConfigError(
                "objectives of different models", got=self.objectives,
                expected="autoregressive alone, or any of the others",
            )
        if self.steps < 1 or not 0 <= self.head < 1 or self.longest > self.tokens:
            raise ConfigError(
                "no pre-training", got=(self.steps, self.head, self.longest, self.tokens),
                expected="steps > 0, 0 <= head < 1, longest <= tokens",
            )


class Batch(NamedTuple):
    """``inputs`` of the model; ``places`` (through batch and length) whose tokens are ``gold``, or
    no places and one gold class per row."""

    inputs: dict[str, Tensor]
    places: Tensor
    gold: Tensor

    def to(self, device: torch.device | str) -> Batch:
        inputs = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        return Batch(inputs, self.places.to(device), self.gold.to(device))


def _padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*r, *[fill] * (width - len(r))] for r in rows])


def batch_of(
    items: Sequence[str | Pair], objective: str, tokenizer: Any, draw: np.random.Generator,
    settings: Pretraining,
) -> Batch:  # fmt: skip
    """The texts (or pairs) as the model reads them under ``objective``."""
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    cut: dict[str, Any] = {"truncation": True, "max_length": settings.longest}
    if objective == "next_sentence":
        pairs = [p for p in items if isinstance(p, Pair)]
        coded = tokenizer([p.first for p in pairs], [p.second for p in pairs],
                          return_token_type_ids=True, **cut)  # fmt: skip
        inputs = {
            "input_ids": _padded(coded["input_ids"], pad),
            "token_type_ids": _padded(coded["token_type_ids"], 0),
            "attention_mask": _padded(coded["attention_mask"], 0),
        }
        gold = torch.tensor([int(not p.follows) for p in pairs])  # class 0: it follows
        return Batch(inputs, torch.zeros(0, dtype=torch.long), gold)
    texts = [t for t in items if isinstance(t, str)]
    coded = tokenizer(texts, return_offsets_mapping=True, **cut)
    width = max(map(len, coded["input_ids"]))
    read, places, gold_ids = [], [], []
    for k, text in enumerate(texts):
        ids = coded["input_ids"][k]
        if objective == "autoregressive":
            read.append(ids)
            places += [k * width + p for p in range(len(ids) - 1)]
            gold_ids += ids[1:]
            continue
        words = coded.word_ids(k)
        if objective == "masked":
            inner = [p for p, w in enumerate(words) if w is not None]
            groups = [[inner[p] for p in g] for g in groups_of_tokens(len(inner))]
        elif objective == "whole_word":
            groups = groups_of_words(words)
        else:
            groups = groups_of_entities(text, coded["offset_mapping"][k], words)
        seen, asked = blanked(
            ids, groups, draw, mask=tokenizer.mask_token_id, words=len(tokenizer),
            share=settings.share,
        )  # fmt: skip
        read.append(seen)
        places += [k * width + p for p in asked]
        gold_ids += [ids[p] for p in asked]
    inputs = {
        "input_ids": _padded(read, pad),
        "attention_mask": _padded([[1] * len(r) for r in read], 0),
    }
    return Batch(inputs, torch.tensor(places), torch.tensor(gold_ids))


def batches(
    texts: Sequence[str], objective: str, tokenizer: Any, settings: Pretraining, seed: int
) -> Iterator[Batch]:
    """Endless batches of about ``settings.tokens`` padded tokens, texts of like length together."""
    draw = np.random.default_rng(seed)
    while True:
        items: list[Any] = (
            next_sentences(texts, draw) if objective == "next_sentence" else list(texts)
        )
        if not items:
            raise ConfigError(
                f"no text of two sentences for {objective}",
                got=len(texts),
                fix="give longer texts, or another objective",
            )
        def size(item: Any) -> int:
            return sum(map(len, item[:2])) if isinstance(item, Pair) else len(item)
        order = draw.permutation(len(items))
        made: list[list[Any]] = []
        for at in range(0, len(order), 4096):  # sorted within windows of the drawn order
            window = sorted((items[i] for i in order[at : at + 4096]), key=size)
            batch: list[Any] = []
            for item in window:
                width = min(settings.longest, 2 + size(item) // 3)
                if batch and width * (len(batch) + 1) > settings.tokens:
                    made.append(batch)
                    batch = []
                batch.append(item)
            made.append(batch)
        for k in draw.permutation(len(made)):
            yield batch_of(made[k], objective, tokenizer, draw, settings)


def outputs(model: Any, batch: Batch) -> Tensor:
    """Logits ``[gold, classes]``: words at the batch's places, or what follows per row."""
    with only_at(model, batch.places):
        found = model(**batch.inputs)
    if not len(batch.places):
        return found.seq_relationship_logits.float()  # type: ignore[no-any-return]
    logits = found.logits if hasattr(found, "logits") else found.prediction_logits
    logits = logits.reshape(-1, logits.shape[-1]).float()
    return logits if len(logits) == len(batch.places) else logits[batch.places]  # type: ignore[no-any-return]


def unigrams(texts: Sequence[str], tokenizer: Any) -> Tensor:
    """Log-probability of each word piece in ``texts``, one added to every count: ``[words]``."""
    ids = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
    counts = np.bincount(np.concatenate([np.array(i, np.int64) for i in ids]),
                         minlength=len(tokenizer)) + 1.0  # fmt: skip
    return torch.from_numpy(np.log(counts / counts.sum())).float()


def begin_head(model: Any, fresh: Sequence[str], prior: Tensor) -> None:
    """What the model came without begins as: square layers as identities (hidden states then meet
    the tied word embeddings directly), the words' bias as ``prior``."""
    named = dict(model.named_parameters())
    with torch.no_grad():
        for name in fresh:
            weight = named.get(name)
            if weight is None:
                continue
            if weight.ndim == 2 and weight.shape[0] == weight.shape[1]:
                weight.copy_(torch.eye(len(weight)))
            elif weight.shape == prior.shape:
                weight.copy_(prior)


def pretrain(
    model: Any, tokenizer: Any, texts: Sequence[str], settings: Pretraining,
    fresh: Sequence[str] = (), advance: Callable[[int, float], None] = lambda n, loss: None,
) -> list[float]:  # fmt: skip
    """Trains ``model`` in place; returns the loss of every step. ``fresh`` names parameters that
    the model came without; the first steps train them alone."""
    torch.manual_seed(settings.seed)
    if fresh:
        begin_head(model, fresh, unigrams(texts, tokenizer))
    streams = [
        batches(texts, name, tokenizer, settings, settings.seed + k)
        for k, name in enumerate(settings.objectives)
    ]
    alone = round(settings.head * settings.steps) if fresh else 0
    losses: list[float] = []
    device = model.device
    halved = fast_bf16(device.type) if settings.bf16 == "auto" else bool(settings.bf16)
    model.train()
    stages = ((alone, settings.head_lr, True), (settings.steps - alone, settings.lr, False))
    for count, rate, only_head in stages:
        if not count:
            continue
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in fresh or not only_head)
        plan = Optimization(lr=rate, warmup=0.05).configure(model, count)
        optimizer, schedule = plan["optimizer"], plan["lr_scheduler"]["scheduler"]
        for _ in range(count):
            batch = next(streams[len(losses) % len(streams)]).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=halved):
                loss = cross_entropy(outputs(model, batch), batch.gold)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
            advance(len(losses), losses[-1])
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model.eval()
    return losses


def evaluate(
    model: Any, tokenizer: Any, texts: Sequence[str], settings: Pretraining, most: int = 8
) -> dict[str, dict[str, float]]:
    """Per objective mean loss (nats) and accuracy on ``texts``, over ``most`` batches."""
    found = {}
    model.eval()
    for name in settings.objectives:
        stream = batches(texts, name, tokenizer, settings, 10_007)
        loss = right = asked = 0.0
        begun = time.perf_counter()
        with torch.inference_mode():
            for _ in range(most):
                batch = next(stream).to(model.device)
                logits = outputs(model, batch)
                loss += float(cross_entropy(logits, batch.gold, reduction="sum"))
                right += float((logits.argmax(-1) == batch.gold).sum())
                asked += len(batch.gold)
        found[name] = {"loss": loss / asked, "accuracy": right / asked, "asked": asked,
                       "seconds": time.perf_counter() - begun}  # fmt: skip
    return found
