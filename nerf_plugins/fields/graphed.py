"""A radiance field's training passes as CUDA graphs: many small launches become two."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.fields.radiance import RadianceField


class GraphedField:
    """Calls a radiance field; in training on CUDA it replays a graph of the forward and one of the backward pass.

    A graph is recorded at the first call with a number of samples, which on CUDA is the sampler's fixed capacity; another number
    is recorded in its place, since a graph keeps the memory of all that is between its inputs and outputs. Differentiable once in the
    field's parameters and in whichever input needs it. The field may not depend on the step. While gradients are being accumulated the
    field is called as it is, since a replay writes its gradients where those of the replay before are.

    Args:
        field: the field; stays usable by itself.
    """

    def __init__(self, field: RadianceField) -> None:
        self.field = field
        self._recorded: tuple[tuple[int, bool, bool], nn.Module] | None = None

    def __call__(
        self, positions: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Densities and colours; see :class:`RadianceField`."""
        accumulating = any(parameter.grad is not None for parameter in self.field.parameters())
        if accumulating or not (positions.is_cuda and self.field.training and torch.is_grad_enabled()):
            return self.field(positions, directions)
        kind = (len(positions), positions.requires_grad, directions.requires_grad)
        if self._recorded is None or self._recorded[0] != kind:
            self._recorded = None  # its memory is free before the next is recorded
            self._recorded = (kind, self._record(positions, directions))
        return self._recorded[1](positions, directions)

    def _record(self, *inputs: Tensor) -> nn.Module:
        examples = tuple(x.detach().clone().requires_grad_(x.requires_grad) for x in inputs)
        # Casts of parameters must be part of the graph, not values remembered from before it.
        with torch.autocast("cuda", enabled=torch.is_autocast_enabled("cuda"), cache_enabled=False):
            graphed = torch.cuda.make_graphed_callables(_Calls(self.field), examples)
        assert isinstance(graphed, nn.Module)
        return graphed


class _Calls(nn.Module):
    """Calls a field. Recording replaces a module's forward by the replay; the field's own is to stay."""

    def __init__(self, field: RadianceField) -> None:
        super().__init__()
        self.field = field

    def forward(self, positions: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        return self.field(positions, directions)
