"""Pieces of pixels' cones, as Gaussians."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor


class ConeMoments(NamedTuple):
    """The Gaussian of pieces of rays, along and across them."""

    t_means: Float[Tensor, "n"]
    """Where on the ray the mean is."""
    t_variances: Float[Tensor, "n"]
    """Variance along the ray."""
    r_variances: Float[Tensor, "n"]
    """Variance in each direction across the ray."""
    scales: Float[Tensor, "n"]
    r"""Geometric mean of the three standard deviations: :math:`(\sigma_t^2 \sigma_r^4)^{1/6}`, at least 1e-5."""


@torch.no_grad()
def cone_moments(
    t_starts: Float[Tensor, "n"],
    t_ends: Float[Tensor, "n"],
    radii: Float[Tensor, "n_rays"],
    ray_indices: Int[Tensor, "n"],
) -> ConeMoments:
    r"""Of pieces of cones with their apex at t = 0 and the radius :math:`\dot r t`.

    With the middle :math:`\mu` and half the width :math:`\delta`: mean :math:`\mu + 2\mu\delta^2 / (3\mu^2 + \delta^2)`,
    :math:`\sigma_t^2 = \delta^2/3 - \frac{4}{15}\, \delta^4 (12\mu^2 - \delta^2) / (3\mu^2 + \delta^2)^2` and
    :math:`\sigma_r^2 = \dot r^2 (\mu^2/4 + \frac{5}{12}\delta^2 - \frac{4}{15}\, \delta^4 / (3\mu^2 + \delta^2))`.

    Args:
        t_starts: where each piece begins, >= 0, float32.
        t_ends: where it ends, float32.
        radii: :math:`\dot r` of each ray, the cone's radius at t = 1, float32.
        ray_indices: which ray each piece belongs to, int32; not checked against the rays.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Nothing is differentiable.

    Example:
        From the apex to t = 2: the mean of t, weighted by the area t², is 3/2.

        >>> of_cone = cone_moments(*torch.tensor([[0.0], [2.0], [1.0]]), torch.tensor([0], dtype=torch.int32))
        >>> [round(values.item(), 4) for values in of_cone]
        [1.5, 0.15, 0.6, 0.6148]

    Source: Barron et al., Mip-NeRF, 2021, equation 7, in the form that does not cancel.
    """
    pieces = _require_pieces(t_starts, t_ends, radii, ray_indices)

    from nerf_plugins.kernels.cones import cone_moments as kernel
    from nerf_plugins.kernels.launch import launch

    n, device = len(pieces.t_starts), pieces.t_starts.device
    moments = ConeMoments(*torch.empty(4, n, device=device).unbind(0))
    launch(kernel, n, [*pieces, *moments], device)
    return moments


class ConePoints(NamedTuple):
    """Pieces of cones as a field sees them."""

    positions: Float[Tensor, "n 3"]
    """The means."""
    scales: Float[Tensor, "n"]
    """Geometric mean of the three standard deviations."""


@torch.no_grad()
def cone_points(
    t_starts: Float[Tensor, "n"],
    t_ends: Float[Tensor, "n"],
    origins: Float[Tensor, "n_rays 3"],
    directions: Float[Tensor, "n_rays 3"],
    radii: Float[Tensor, "n_rays"],
    ray_indices: Int[Tensor, "n"],
    box_scale: Float[Tensor, "3"],
    box_shift: Float[Tensor, "3"],
    *,
    contracted: bool,
) -> ConePoints:
    r"""The means of pieces of cones and their size, taken to a field's coordinates.

    A mean x on the ray (see :func:`cone_moments`) goes to :math:`y = a x + b`, with the box's scale a and shift b, and where ``contracted``
    on to :math:`\tfrac12 (2 - 1/m)\, y / m` with :math:`m = \max(1, |y|_\infty)`. The geometric mean of the standard deviations is
    multiplied by :math:`|\det J|^{1/3}` of that map: :math:`(a_1 a_2 a_3)^{1/3}`, and where contracted by
    :math:`\tfrac12 ((2 - 1/m) / m^2)^{2/3}`.

    Args:
        t_starts: where each piece begins, >= 0, float32.
        t_ends: where it ends, float32.
        origins: of the rays, float32.
        directions: of the rays, of length 1, float32.
        radii: of each ray, the cone's radius at t = 1, float32.
        ray_indices: which ray each piece belongs to, int32; not checked against the rays.
        box_scale: a, > 0, float32.
        box_shift: b, float32.
        contracted: whether the field sees the space without end.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Nothing is differentiable.

    Example:
        The middle of a thin piece lies on the box's side, twice and ten times as far away; the field's cube is twice as large as the box.

        >>> middles = torch.tensor([1.0, 2.0, 10.0])
        >>> rays = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([0.01]), torch.zeros(3, dtype=torch.int32)
        >>> box = torch.ones(3), torch.zeros(3)
        >>> seen = cone_points(middles - 1e-3, middles + 1e-3, *rays, *box, contracted=True)
        >>> [round(x, 4) for x in seen.positions[:, 0].tolist()]
        [0.5, 0.75, 0.95]

    Source: Barron et al., Mip-NeRF, 2021, equation 7; Mip-NeRF 360, 2022, equation 10, with the maximum norm.
    """
    pieces = _require_pieces(t_starts, t_ends, radii, ray_indices)
    origins = require_tensor("origins", origins, torch.float32, (len(radii), 3))
    directions = require_tensor("directions", directions, torch.float32, (len(radii), 3))
    box_scale = require_tensor("box_scale", box_scale, torch.float32, (3,))
    box_shift = require_tensor("box_shift", box_shift, torch.float32, (3,))
    others = {"origins": origins, "directions": directions, "box_scale": box_scale, "box_shift": box_shift}
    device = require_same_device(t_starts=pieces.t_starts, **others)

    from nerf_plugins.kernels.cones import cone_points as kernel
    from nerf_plugins.kernels.launch import launch

    n = len(pieces.t_starts)
    points = ConePoints(torch.empty(n, 3, device=device), torch.empty(n, device=device))
    of_map = (origins, directions, box_scale[None], box_shift[None], int(contracted))
    launch(kernel, n, [*pieces, *of_map, *points], device)
    return points


class _Pieces(NamedTuple):
    """Of cones, checked; in the order in which the kernels take them."""

    t_starts: Tensor
    t_ends: Tensor
    radii: Tensor
    ray_indices: Tensor


def _require_pieces(t_starts: Tensor, t_ends: Tensor, radii: Tensor, ray_indices: Tensor) -> _Pieces:
    n = len(t_starts)
    pieces = _Pieces(
        require_tensor("t_starts", t_starts, torch.float32, (None,)),
        require_tensor("t_ends", t_ends, torch.float32, (n,)),
        require_tensor("radii", radii, torch.float32, (None,)),
        require_tensor("ray_indices", ray_indices, torch.int32, (n,)),
    )
    require_same_device(**pieces._asdict())
    return pieces
