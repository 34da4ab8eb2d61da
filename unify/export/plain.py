"""A backbone as the class that transformers alone can load, with the same scores.

Where a head's weights belong is found by the plain class's own modules, not by its name, and
:mod:`.proof` compares the two models before anything is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from formats.errors import ConfigError

from ..backbones import Backbone

LABELS = ("not_entailment", "entailment")  # the second one is what zero-shot pipelines look for


@dataclass(frozen=True)
class Plain:
    """A transformers model, the auto class that loads it, the pipeline that it fits, if any,
    the names of those of its modules that the run's head was put into, and where the model stands
    that adapters are for."""

    model: Any
    auto: str
    pipeline: str | None
    head: tuple[str, ...] = ()
    base: str | None = None


def plain(backbone: Backbone) -> Plain:
    """Raises ConfigError where no plain class computes what the head does."""
    if backbone.tuning is not None:
        from ..tuning import merge

        merge(backbone)
    made = _MAKE.get(backbone.name)
    if made is None:
        raise ConfigError(
            f"no plain Hugging Face class computes what the head {backbone.name} does",
            expected=f"a run with one of the heads {', '.join(_MAKE)}",
            fix="keep the run folder, and serve it: unify serve run=<run>",
        )
    return made(backbone)


def _fresh(backbone: Backbone, auto: str, **changes: Any) -> Any:
    """The plain class with the backbone's body. What the body's class has beside (a pooler that
    the head replaces) stays as it is drawn."""
    import copy

    import transformers

    config = copy.deepcopy(backbone.model.config)
    for key, value in changes.items():
        setattr(config, key, value)
    try:
        model = getattr(transformers, auto).from_config(config)
    except ValueError:
        raise ConfigError(
            f"{auto} knows no {config.model_type} models",
            got=config.model_type,
            fix="keep the run folder, and serve it: unify serve run=<run>",
        ) from None
    body = backbone.model.base_model.state_dict()
    missing = model.base_model.load_state_dict(body, strict=False).missing_keys
    torn = [key for key in missing if "pooler" not in key]
    if torn:
        raise ConfigError(
            f"{auto} has parts that the run has not",
            got=torn[0],
            fix="train the run's head in full, then export",
        )
    return model.to(backbone.device).eval()


def _put(linear: Any, weight: Tensor, bias: Tensor | None) -> None:
    with torch.no_grad():
        linear.weight.copy_(weight)
        if linear.bias is not None:
            linear.bias.copy_(0.0 if bias is None else bias)


def _holders(model: Any, *layers: nn.Module) -> tuple[str, ...]:
    """Names of the outermost modules, beside the body's embeddings and layers, that hold
    ``layers``."""
    found = []
    for name, module in model.named_modules():
        if module in layers:
            body = f"{model.base_model_prefix}." if name.startswith(model.base_model_prefix) else ""
            found.append(body + name.removeprefix(body).partition(".")[0])
    return tuple(dict.fromkeys(found))


def _margin(out: nn.Linear, yes: int) -> tuple[Tensor, Tensor]:
    """Of a layer with two classes, one whose logits are zero and the log-odds of ``yes``: then a
    softmax over several labels' entailment logits, which is what the zero-shot pipeline takes, is
    the softmax over their log-odds."""
    assert out.bias is not None
    weight = out.weight[yes] - out.weight[1 - yes]
    bias = out.bias[yes] - out.bias[1 - yes]
    return torch.stack([torch.zeros_like(weight), weight]), torch.stack([bias * 0, bias])


def _dense(model: Any) -> tuple[Any, Any] | None:
    """The two layers of a plain classifier over the first token; None where it has others."""
    classifier = model.classifier
    if isinstance(classifier, nn.Linear):
        for holder, name in (
            (model, "pre_classifier"),
            (model, "pooler"),
            (model.base_model, "pooler"),
        ):
            found = getattr(holder, name, None)
            found = getattr(found, "dense", found)
            if isinstance(found, nn.Linear):
                return found, classifier
        return None
    dense, out = getattr(classifier, "dense", None), getattr(classifier, "out_proj", None)
    return (dense, out) if isinstance(out, nn.Linear) else None


def _pair(backbone: Any) -> Plain:
    head = backbone.head
    if head.pool != "first" or len(head.labels) != 2:
        raise ConfigError(
            "a pair head that plain classifiers have not",
            got=f"pool={head.pool}, {len(head.labels)} labels",
            expected="pool=first and two labels",
            fix="train with model.head_options.pool=first",
        )
    auto = "AutoModelForSequenceClassification"
    own = (
        {"pooler_hidden_act": head.act}
        if hasattr(backbone.model.config, "pooler_hidden_act")
        else {}
    )
    model = _fresh(backbone, auto, num_labels=2, **own)
    layers = _dense(model)
    if layers is None:
        raise ConfigError(
            "a plain classifier of another shape than dense, activation, out",
            got=type(model).__name__,
            fix="keep the run folder, and serve it: unify serve run=<run>",
        )
    _put(layers[0], head.dense.weight, head.dense.bias)
    _put(layers[1], *_margin(head.out, head.yes))
    return Plain(_labelled(model), auto, "zero-shot-classification", _holders(model, *layers))


def _next_sentence(backbone: Any) -> Plain:
    auto = "AutoModelForSequenceClassification"
    model = _fresh(backbone, auto, num_labels=2)
    # Class 0 of the next-sentence head is "is next".
    _put(model.classifier, *_margin(backbone.model.cls.seq_relationship, 0))
    return Plain(_labelled(model), auto, "zero-shot-classification", ("classifier",))


def _labelled(model: Any) -> Any:
    model.config.id2label = dict(enumerate(LABELS))
    model.config.label2id = {label: i for i, label in enumerate(LABELS)}
    return model


def _span(backbone: Any) -> Plain:
    auto = "AutoModelForQuestionAnswering"
    model = _fresh(backbone, auto, num_labels=2)
    out = backbone.head.out
    if isinstance(getattr(model, "qa_outputs", None), nn.Linear):
        _put(model.qa_outputs, out.weight, out.bias)
        return Plain(model, auto, None, ("qa_outputs",))
    _through_norm(model, out)
    return Plain(model, auto, None, ("head", "classifier"))


def _through_norm(model: Any, out: nn.Linear) -> None:
    """A plain head of dense, activation, norm and classifier over states that end in a norm: the
    dense layer takes that norm's scale away, so that the head's norm changes nothing, and the
    classifier puts it back. Exact up to the norms' epsilon."""
    head, last = getattr(model, "head", None), getattr(model.base_model, "final_norm", None)
    classifier = getattr(model, "classifier", None)
    if not all((hasattr(head, "norm"), last is not None, isinstance(classifier, nn.Linear))):
        raise ConfigError("a plain question-answering head of another shape",
                          got=type(model).__name__,
                          fix="keep the run folder: unify serve run=<run>")  # fmt: skip
    assert head is not None and last is not None and classifier is not None
    scale = last.weight.detach()
    if last.bias is not None or float(scale.abs().min()) < 1e-3:
        raise ConfigError(
            "a last norm that cannot be undone",
            got=type(model).__name__,
            fix="export without this transformation of the weights",
        )
    model.config.classifier_activation = "linear"
    head.act = nn.Identity()
    _put(head.dense, torch.diag(1 / scale), None)
    _put(head.norm, torch.ones_like(scale), None)
    _put(classifier, out.weight * scale, out.bias)


def _language_model(auto: str, pipeline: str | None) -> Any:
    def made(backbone: Any) -> Plain:
        if backbone.layout.kind != "masked":
            backbone.model.generation_config = backbone.habits()
        return Plain(backbone.model, auto, pipeline)

    return made


_MAKE = {
    "pair": _pair,
    "nsp": _next_sentence,
    "span": _span,
    "causal": _language_model("AutoModelForCausalLM", "text-generation"),
    "seq2seq": _language_model("AutoModelForSeq2SeqLM", None),
    "masked": _language_model("AutoModelForMaskedLM", "fill-mask"),
}
