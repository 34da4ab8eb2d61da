"""Many tunings on one frozen backbone, in one batch: each row is answered by its own task's."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from formats.errors import ConfigError
from formats.store import StoredRow

from ..backbones.base import Backbone, Partial
from . import saved
from .adapters import Bottleneck, Shift
from .base import Tuning
from .injected import LoRA
from .instance import InstancePrompt
from .prefix import Prefix
from .prompt import Prompt
from .structural import StructuralPrompt
from .unipelt import Gate, GatedLowRank, GatedRows

PARTS = (Bottleneck, Shift, Gate, GatedLowRank, GatedRows)


class Turn:
    """Which member answers which sequence of the batch under way."""

    def __init__(self) -> None:
        self.by_size: dict[int, list[int]] = {}

    def of(self, size: int) -> list[int]:
        """The member of each of ``size`` sequences: all rows, or all of their variants."""
        if size not in self.by_size:
            raise ConfigError(
                "a backbone that reads a row's texts apart: no row is one sequence of it",
                got=f"{size} sequences",
                expected=" or ".join(map(str, self.by_size)),
            )
        return self.by_size[size]


class PerRow:
    """A module's ``forward``, each sequence by the module of its member."""

    def __init__(self, members: Sequence[nn.Module], turn: Turn) -> None:
        self.members, self.turn = list(members), turn

    def __call__(self, *args: Any) -> Any:
        size = next(a.shape[0] for a in args if isinstance(a, Tensor))
        who = torch.tensor(self.turn.of(size))
        made: Any = None
        for k in who.unique().tolist():
            at = (who == k).nonzero()[:, 0]
            found = self.members[k](*(a[at] if isinstance(a, Tensor) else a for a in args))
            several = isinstance(found, tuple)
            parts = found if several else (found,)
            if made is None:
                made = [p.new_empty(size, *p.shape[1:]) for p in parts]
            for whole, part in zip(made, parts, strict=True):
                whole[at] = part
        return tuple(made) if several else made[0]


class Bank:
    """Tuned runs that share their frozen backbone and the shape of their tuning.

    Prompts, prefixes, LoRA, adapters, AdapterBias, UniPELT, and the heads beside them. Its memory
    is one backbone and the members' own kilobytes.
    """

    def __init__(
        self, folders: Mapping[str, Path], device: torch.device | str = "cpu"
    ) -> None:
        """``folders`` hold what ``backbones.save`` wrote, by name. Raises ConfigError where they
        do not go together."""
        from .. import backbones

        notes = {name: saved.told(folder) for name, folder in folders.items()}
        (first, told), *others = notes.items()
        for name, other in others:
            for key in ("name", "settings", "digest", "head", "options", "layout"):
                if other[key] != told[key]:
                    raise ConfigError(
                        f"tunings that differ in their {key}",
                        got={first: told[key], name: other[key]},
                        expected="one backbone, one head and one tuning for all",
                    )
        self.names = list(folders)
        self.turn = Turn()
        self.backbone: Backbone = backbones.load(folders[first]).to(device).eval()
        shell = self.backbone.tuning
        assert shell is not None
        within = [n for n in shell.trained if n.startswith("model.")]
        of_text = isinstance(shell, InstancePrompt | StructuralPrompt)
        if of_text or (within and not isinstance(shell, LoRA)):
            raise ConfigError(
                f"the tuning {shell.name} cannot differ from row to row",
                expected="prompt, prefix, lora, adapter, adapter_bias or unipelt",
            )
        states = [saved.read(folder) for folder in folders.values()]
        if isinstance(shell, LoRA):
            self._low_rank(shell, states)
        members = [copy.deepcopy(shell) for _ in self.names]
        for member, state in zip(members, states, strict=True):
            _load(member, state, "tuning.")
        self._dispatch(shell, members)
        for name, module in self.backbone.head_modules().items():
            heads = [copy.deepcopy(module) for _ in self.names]
            for head, state in zip(heads, states, strict=True):
                _load(head, state, f"{name}.")
            module.forward = PerRow(heads, self.turn)  # type: ignore[method-assign, assignment]

    def _dispatch(self, shell: Tuning, members: list[Tuning]) -> None:
        if isinstance(shell, (Prompt, Prefix)):
            virtual: Any = shell.virtual

            def rows(words: Tensor) -> Tensor | None:
                tables = torch.stack([m.rows() for m in members])  # type: ignore[operator]
                own = tables[self.turn.of(len(words))]
                if isinstance(shell, Prompt):
                    return own
                virtual.now.rows = own
                return None

            virtual.rows = rows
            return
        others = [dict(m.named_modules()) for m in members]
        for name, module in shell.named_modules():
            if isinstance(module, PARTS):
                of_rows: Any = PerRow([o[name] for o in others], self.turn)
                module.forward = of_rows  # type: ignore[method-assign]

    def _low_rank(self, shell: LoRA, states: list[dict[str, Tensor]]) -> None:
        """`peft` itself takes one adapter per sequence; each member is one more adapter."""
        named = [f"member{k}" for k in range(len(states))]
        for name in named:
            shell.more(self.backbone, name)
        parameters = dict(self.backbone.named_parameters())
        with torch.no_grad():
            for name, state in zip(named, states, strict=True):
                for key, tensor in state.items():
                    if LoRA.mark in key:
                        parameters[key.replace(".default.", f".{name}.")].copy_(tensor)

        def choose(module: nn.Module, args: Any, kwargs: Any) -> Any:
            who = self.turn.of(len(args[0]))
            return args, {**kwargs, "adapter_names": [named[k] for k in who]}

        for module in shell.layers(self.backbone):
            module.register_forward_pre_hook(choose, with_kwargs=True)
        self.backbone.eval()

    def predict(self, rows: Sequence[StoredRow], names: Sequence[str]) -> list[list[Partial]]:
        """Per row its predictions, by the tuning that ``names`` says for it, in one batch (rows
        that are written freely, and rows whose options are scored, in one each)."""
        found: list[list[Partial]] = [[] for _ in rows]
        free = [row.candidates == 0 and self.backbone.layout.kind != "encoder" for row in rows]
        for kind in (False, True):
            at = [k for k in range(len(rows)) if free[k] == kind]
            if not at:
                continue
            who = [self.names.index(names[k]) for k in at]
            each = [1 if kind else len(rows[k].widths) for k in at]
            sequences = [w for w, n in zip(who, each, strict=True) for _ in range(n)]
            self.turn.by_size = {len(sequences): sequences, len(who): who}
            # Rows are told apart by their number, which is theirs alone in this call.
            own = [rows[k]._replace(row=number) for number, k in enumerate(at)]
            with torch.inference_mode():
                for part in self.backbone.predict(own):
                    row = rows[at[part.row]]
                    found[at[part.row]].append(part._replace(row=row.row))
        return found


def _load(module: nn.Module, state: Mapping[str, Tensor], prefix: str) -> None:
    named = dict(module.named_parameters())
    with torch.no_grad():
        for key, tensor in state.items():
            if key.startswith(prefix):
                named[key.removeprefix(prefix)].copy_(tensor)
