"""Parameters that change their shape while they are trained, such as grids that become finer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer

Resize = Callable[[Tensor], Tensor]


class Growing(nn.Module, ABC):
    """A module whose parameters may change their shape; its other state follows from their shapes.

    Such a parameter stays the same object, so optimisers keep it. A checkpoint of any of its shapes can be loaded.
    """

    @property
    @abstractmethod
    def growing(self) -> tuple[str, ...]:
        """Names of the parameters that may change their shape."""

    @abstractmethod
    def grow(self, progress: float) -> Mapping[str, Resize]:
        """Called before each training step.

        Args:
            progress: how far training is, in [0, 1].

        Returns:
            For each parameter that is to have another shape now, what makes it of what it was. The optimiser's moments, which have its
            shape, are taken through the same function. Empty in most steps.
        """


def growing_keys(model: nn.Module) -> dict[str, Parameter]:
    """All parameters of a model that may change their shape, by their name in its state."""
    named = {}
    for name, module in model.named_modules():
        if isinstance(module, Growing):
            prefix = f"{name}." if name else ""
            named |= {prefix + key: module.get_parameter(key) for key in module.growing}
    return named


def take_shapes(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Gives growing parameters the shapes that they have in a state that is about to be loaded."""
    for key, parameter in growing_keys(model).items():
        if key in state and state[key].shape != parameter.shape:
            parameter.data = parameter.data.new_empty(state[key].shape)


def grow(model: nn.Module, progress: float, optimizers: Iterable[Optimizer]) -> list[str]:
    """Lets all modules grow that are due, and the optimisers' moments with them.

    Returns:
        One line for each parameter that has another shape now.
    """
    optimizers, lines = list(optimizers), []
    for module in model.modules():
        if not isinstance(module, Growing):
            continue
        for name, resize in module.grow(progress).items():
            parameter = module.get_parameter(name)
            before = parameter.shape
            _resize(parameter, resize, optimizers)
            lines.append(f"{name}: {tuple(before)} -> {tuple(parameter.shape)}")
    return lines


def _resize(parameter: Parameter, resize: Resize, optimizers: list[Optimizer]) -> None:
    before = parameter.shape
    parameter.data = resize(parameter.data).contiguous()
    parameter.grad = None
    for optimizer in optimizers:
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor) and value.shape == before:
                optimizer.state[parameter][key] = resize(value).contiguous()
