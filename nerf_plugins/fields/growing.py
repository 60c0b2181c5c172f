"""Parameters that change their shape while they are trained, such as grids that become finer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter

from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer

Resize = Callable[[Tensor], Tensor]


class Growing(nn.Module, ABC):
    """A module whose parameters may change their shape; its other state follows from their shapes.

    Such a parameter is replaced by one of the new shape, in its module and in the optimisers. A checkpoint of any of its shapes can be
    loaded.
    """

    @property
    @abstractmethod
    def growing(self) -> tuple[str, ...]:
        """Names of the parameters that may change their shape, and of the buffers that do with them."""

    @abstractmethod
    def grow(self, progress: float) -> Mapping[str, Resize]:
        """Called before each training step.

        Args:
            progress: how far training is, in [0, 1].

        Returns:
            For each parameter that is to have another shape now, what makes it of what it was. The optimiser's moments, which have its
            shape, are taken through the same function. Empty in most steps. Buffers it has replaced itself by then.
        """


def growing_keys(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers of a model that may change their shape, by their name in its state."""
    named = {}
    for name, module in model.named_modules():
        if isinstance(module, Growing):
            prefix = f"{name}." if name else ""
            named |= {prefix + key: attrgetter(key)(module) for key in module.growing}
    return named


def take_shapes(model: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Gives growing parameters and buffers the shapes that they have in a state that is about to be loaded; says whether one is another."""
    changed = {
        key: tensor for key, tensor in growing_keys(model).items() if key in state and state[key].shape != tensor.shape
    }
    for key, tensor in changed.items():
        tensor.data = tensor.data.new_empty(state[key].shape)
    return bool(changed)


def grow(
    model: nn.Module, progress: float, optimizers: Iterable[Optimizer], lists: Iterable[list[Parameter]] = ()
) -> list[str]:
    """Lets all modules grow that are due, and the optimisers' moments with them.

    Args:
        model: the model.
        progress: how far training is, in [0, 1].
        optimizers: of its parameters.
        lists: others that hold them, as nerfstudio does to clip gradients.

    Returns:
        One line for each parameter that has another shape now.
    """
    optimizers, lists, lines = list(optimizers), list(lists), []
    for module in model.modules():
        if not isinstance(module, Growing):
            continue
        for name, resize in module.grow(progress).items():
            old = module.get_parameter(name)
            # A new object: autograd remembers the shape of the old one for as long as anything of the last step is alive.
            new = Parameter(resize(old.data).contiguous(), requires_grad=old.requires_grad)
            owner, _, last = name.rpartition(".")
            setattr(module.get_submodule(owner), last, new)
            for optimizer in optimizers:
                _replace_in(optimizer, old, new, resize)
            for parameters in lists:
                parameters[:] = [new if parameter is old else parameter for parameter in parameters]
            lines.append(f"{name}: {tuple(old.shape)} -> {tuple(new.shape)}")
    return lines


def _replace_in(optimizer: Optimizer, old: Parameter, new: Parameter, resize: Resize) -> None:
    for group in optimizer.param_groups:
        group["params"] = [new if parameter is old else parameter for parameter in group["params"]]
    state = optimizer.state.pop(old, None)
    if state is not None:
        is_moment = {key: isinstance(value, Tensor) and value.shape == old.shape for key, value in state.items()}
        optimizer.state[new] = {
            key: resize(value).contiguous() if is_moment[key] else value for key, value in state.items()
        }
