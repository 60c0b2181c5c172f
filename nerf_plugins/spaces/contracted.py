"""An unbounded scene around the scene box: captures of rooms and outdoors."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.rays import Rays
from nerf_plugins.spaces.box import BoxSpace


class ContractedSpace(BoxSpace):
    r"""World space without end: :math:`x \mapsto x` inside the box, :math:`(2 - 1/|x|_\infty)\, x/|x|_\infty` outside.

    Source: Barron et al., Mip-NeRF 360, 2022, equation 10, with the maximum norm so that grid levels map to cubes.

    Example:
        Along x: in the box, on its side, twice and ten times as far away. For the field all that is divided by 2.

        >>> space = ContractedSpace(torch.tensor([[-1.0] * 3, [1.0] * 3]))
        >>> positions = torch.tensor([[0.5, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
        >>> space.field_positions(positions)[:, 0]
        tensor([0.2500, 0.5000, 0.7500, 0.9500])
    """

    spacing = "disparity"
    unbounded = True

    def field_positions(self, positions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Positions -> [-1, 1]^3: the box fills the inner half of the cube, the rest of the world the shell around it."""
        x = super().field_positions(positions)
        norm = x.abs().amax(-1, keepdim=True).clamp(min=1.0)
        return 0.5 * (2.0 - 1.0 / norm) * (x / norm)

    def push_forward(self, positions: Float[Tensor, "n 3"], vectors: Float[Tensor, "n k 3"]) -> Float[Tensor, "n k 3"]:
        r"""``J v``, with the position x in units of half the box, m its largest component and k which one that is.

        Outside the box :math:`J v = \tfrac{1}{2} (a\, v + b\, \operatorname{sign}(x_k) v_k\, x)` with :math:`a = 2/m - 1/m^2` and
        :math:`b = -2/m^2 + 2/m^3`; inside :math:`J v = v/2`.
        """
        x = super().field_positions(positions)
        norm, axis = x.abs().max(-1, keepdim=True)
        outside = norm.clamp(min=1.0)
        a, b = 2.0 / outside - 1.0 / outside**2, -2.0 / outside**2 + 2.0 / outside**3
        vectors = super().push_forward(positions, vectors)
        index = axis[:, None].expand(-1, vectors.shape[1], 1)
        along = vectors.gather(-1, index) * x.gather(-1, axis).sign()[:, None]
        return 0.5 * (a[:, None] * vectors + b[:, None] * along * x[:, None])

    def field_scale(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        r""":math:`\tfrac{1}{2} (a^2/m^2)^{1/3}`, with a and m as in :meth:`push_forward`, times that of the box."""
        norm = super().field_positions(positions).abs().amax(-1).clamp(min=1.0)
        return 0.5 * ((2.0 - 1.0 / norm) / norm**2) ** (2 / 3) * super().field_scale(positions)

    def _contracts(self) -> bool | None:
        return True if type(self).field_positions is ContractedSpace.field_positions else None

    def clip(self, rays: Rays) -> tuple[Float[Tensor, "n_rays"], Float[Tensor, "n_rays"]]:
        """The rays' own near and far: the world has no end."""
        return rays.nears, torch.maximum(rays.nears, rays.fars)
