"""Weights, gradients and optimizer state spread over the processes (``trainer.strategy=fsdp``).

Zhao et al. 2023, PyTorch FSDP, section 3, as torch's ``fully_shard`` does it: each process keeps a
share of every tensor, and a layer's tensors are whole only while it computes. What is saved is
whole, in the form of any other run: a run goes on with another number of processes, or without
sharding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn

from formats.errors import ConfigError


def whole(value: Any) -> Any:
    """A spread tensor as a whole one in memory; all processes must ask. Other values stay."""
    full = getattr(value, "full_tensor", None)
    return full().cpu() if full is not None else value


def alike(value: Any, parameter: Tensor) -> Any:
    """This process's share of ``value``, spread as ``parameter`` is, where it has its shape."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(parameter, DTensor) or not isinstance(value, Tensor):
        return value
    if value.shape != parameter.shape:
        return value
    return distribute_tensor(
        value.to(parameter.device), parameter.device_mesh, parameter.placements
    )


def refuse(learner: Any) -> None:
    """Raises ConfigError for a learner that takes gradient steps on its way to a loss."""
    if not learner.shardable:
        raise ConfigError(
            "a learner that computes with weights of its own making, spread over processes",
            got=type(learner).__name__,
            expected="one that sees the model's weights alone, such as multitask",
            fix="trainer.strategy=ddp",
        )


def layers(model: nn.Module) -> Iterator[nn.Module]:
    """The modules with weights in the outermost lists of modules: a transformer's layers."""
    for part in model.children():
        if isinstance(part, nn.ModuleList):
            yield from (layer for layer in part if any(True for _ in layer.parameters()))
        else:
            yield from layers(part)


class Sharded(DDPStrategy):
    """Every layer is spread as one unit, the rest of the module as another."""

    sharded = True

    def model_to_device(self) -> None:
        """Nothing yet: layers go to the device one by one, as they are spread."""

    def configure_ddp(self) -> None:
        from torch.distributed import broadcast
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        module = self.lightning_module
        assert module is not None
        mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):  # those of process 0
                sent = tensor.detach().to(self.root_device)
                broadcast(sent, 0)
                tensor.copy_(sent)
        for layer in layers(module.backbone.model):  # type: ignore[union-attr,arg-type]
            fully_shard(layer, mesh=mesh)
        fully_shard(module, mesh=mesh)
        module.to(self.root_device)

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        return self._redirected("training_step", *args, **kwargs)

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        return self._redirected("validation_step", *args, **kwargs)

    def _redirected(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method as the module's ``forward``, around which its tensors are made whole."""
        module = self.lightning_module
        assert module is not None
        context = self.precision_plugin.train_step_context
        with context() if name == "training_step" else self.precision_plugin.val_step_context():
            return self._forward_redirection(module, module, name, *args, **kwargs)

    def _gathered(self, values: Mapping[Any, Any]) -> dict[Any, Any]:
        """``values`` made whole, one after the other; process 0, which writes, keeps them."""
        found = {}
        for name, value in values.items():
            made = whole(value)
            if self.is_global_zero:
                found[name] = made
        return found

    def lightning_module_state_dict(self) -> dict[str, Any]:
        return self._gathered(super().lightning_module_state_dict())

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        found: Any = super().optimizer_state(optimizer)
        return {**found, "state": {k: self._gathered(s) for k, s in found["state"].items()}}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        spread = []
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            params = [p for group in optimizer.param_groups for p in group["params"]]
            states = {
                k: {n: alike(v, params[k]) for n, v in s.items()} for k, s in saved["state"].items()
            }
            spread.append({**saved, "state": states})
        super().load_optimizer_state_dict({**checkpoint, "optimizer_states": spread})


def restore(backbone: nn.Module, checkpoint: Any) -> None:
    """Puts the weights that a run saved last into a ``backbone`` like the one it trained: behind a
    sharded fit that one is in pieces."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    own = "backbone."
    backbone.load_state_dict({k[len(own):]: v for k, v in saved.items() if k.startswith(own)})
