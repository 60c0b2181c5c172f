"""Middles of pieces of rays, as a field sees them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor


@torch.no_grad()
def ray_points(
    t_starts: Float[Tensor, "n"],
    t_ends: Float[Tensor, "n"],
    origins: Float[Tensor, "n_rays 3"],
    directions: Float[Tensor, "n_rays 3"],
    ray_indices: Int[Tensor, "n"],
    box_scale: Float[Tensor, "3"],
    box_shift: Float[Tensor, "3"],
    *,
    contracted: bool,
) -> Float[Tensor, "n 3"]:
    r"""The middles of pieces of rays, taken to a field's coordinates.

    The middle x goes to :math:`y = a x + b`, with the box's scale a and shift b, and where ``contracted`` on to
    :math:`\tfrac12 (2 - 1/m)\, y / m` with :math:`m = \max(1, |y|_\infty)`.

    Args:
        t_starts: where each piece begins, float32, in units of the directions.
        t_ends: where it ends, float32.
        origins: of the rays, float32.
        directions: of the rays, float32.
        ray_indices: which ray each piece belongs to, int32; not checked against the rays.
        box_scale: a, float32.
        box_shift: b, float32.
        contracted: whether the field sees the space without end.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Nothing is differentiable.

    Example:
        From 3 to 5 along x: the middle lies twice as far away as the box's side, and in the middle of the contracted world's shell.

        >>> rays = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]]), torch.zeros(1, dtype=torch.int32)
        >>> box = torch.full((3,), 0.5), torch.zeros(3)
        >>> ray_points(torch.tensor([3.0]), torch.tensor([5.0]), *rays, *box, contracted=False)
        tensor([[2., 0., 0.]])
        >>> ray_points(torch.tensor([3.0]), torch.tensor([5.0]), *rays, *box, contracted=True)
        tensor([[0.7500, 0.0000, 0.0000]])

    Source: Barron et al., Mip-NeRF 360, 2022, equation 10, with the maximum norm.
    """
    t_starts = require_tensor("t_starts", t_starts, torch.float32, (None,))
    n = len(t_starts)
    origins = require_tensor("origins", origins, torch.float32, (None, 3))
    arguments = {
        "t_starts": t_starts,
        "t_ends": require_tensor("t_ends", t_ends, torch.float32, (n,)),
        "ray_indices": require_tensor("ray_indices", ray_indices, torch.int32, (n,)),
        "origins": origins,
        "directions": require_tensor("directions", directions, torch.float32, (len(origins), 3)),
        "box_scale": require_tensor("box_scale", box_scale, torch.float32, (3,))[None],
        "box_shift": require_tensor("box_shift", box_shift, torch.float32, (3,))[None],
    }
    device = require_same_device(**arguments)

    from nerf_plugins.kernels.launch import launch
    from nerf_plugins.kernels.points import ray_points as kernel

    positions = torch.empty(n, 3, device=device)
    launch(kernel, n, [*arguments.values(), int(contracted), positions], device)
    return positions
