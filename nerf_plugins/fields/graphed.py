"""A radiance field's training passes as CUDA graphs: many small launches become two."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.fields.base import RadianceField
from nerf_plugins.fields.encodings import Encoding
from nerf_plugins.rays import Needs, Points


class GraphedField:
    """Calls a radiance field; in training on CUDA it replays a graph of the forward and one of the backward pass.

    A graph is recorded at the first call with a number of samples, which on CUDA is the sampler's fixed capacity; another number
    is recorded in its place, since a graph keeps the memory of all that is between its inputs and outputs; so it is when a parameter has
    grown or an encoding is at another stage. Differentiable once in the field's parameters and in whichever input needs it. The field may
    not depend on the step in another way. While gradients are being accumulated the field is called as it is, since a replay writes its
    gradients where those of the replay before are.

    Args:
        field: the field; stays usable by itself.
    """

    def __init__(self, field: RadianceField) -> None:
        self.field = field
        self._recorded: tuple[tuple, nn.Module] | None = None

    @property
    def needs(self) -> Needs:
        """The field's."""
        return self.field.needs

    def __call__(self, points: Points) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Densities and colours; see :class:`RadianceField`."""
        accumulating = any(parameter.grad is not None for parameter in self.field.parameters())
        if accumulating or not (points.positions.is_cuda and self.field.training and torch.is_grad_enabled()):
            return self.field(points)
        # The number of rays changes from step to step, that of points does not.
        values = {name: value for name, value in points.spread()._asdict().items() if value is not None}
        names, inputs = tuple(values), tuple(values.values())
        shapes = tuple(parameter.shape for parameter in self.field.parameters())
        stages = tuple(module.stage for module in self.field.modules() if isinstance(module, Encoding))
        kind = (names, len(points.positions), tuple(value.requires_grad for value in inputs), shapes, stages)
        if self._recorded is None or self._recorded[0] != kind:
            self._recorded = None  # its memory is free before the next is recorded
            self._recorded = (kind, self._record(names, inputs))
        return self._recorded[1](*inputs)

    def _record(self, names: tuple[str, ...], inputs: tuple[Tensor, ...]) -> nn.Module:
        examples = tuple(x.detach().clone().requires_grad_(x.requires_grad) for x in inputs)
        # Casts of parameters must be part of the graph, not values remembered from before it.
        with torch.autocast("cuda", enabled=torch.is_autocast_enabled("cuda"), cache_enabled=False):
            graphed = torch.cuda.make_graphed_callables(_Calls(self.field, names), examples)
        assert isinstance(graphed, nn.Module)
        return graphed


class _Calls(nn.Module):
    """Calls a field with tensors. Recording replaces a module's forward by the replay; the field's own is to stay."""

    def __init__(self, field: RadianceField, names: tuple[str, ...]) -> None:
        super().__init__()
        self.field = field
        self.names = names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        return self.field(Points(**dict(zip(self.names, inputs))))
