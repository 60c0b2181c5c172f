"""Sampling rays where they meet the surface of a signed distance field."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_positive, require_same_device, require_tensor


@torch.no_grad()
def surface_weights(
    sdf: Float[Tensor, "n_samples"],
    t_starts: Float[Tensor, "n_samples"],
    t_ends: Float[Tensor, "n_samples"],
    packed_info: Int[Tensor, "n_rays 2"],
    inv_s: Float[Tensor, ""],
    *,
    max_inv_s: float = math.inf,
) -> Float[Tensor, "n_samples"]:
    r"""Rendering weights of steps along rays, of which only the signed distance in their middles is known.

    The distance falls in a step as it does to the neighbour on that side where it falls more steeply, with a slope in [-1, 0]; the first
    and the last step of a ray meet the surface head on, with -1. The weights are those of the optical depths of
    :func:`sdf_optical_depths` with these slopes.

    Args:
        sdf: distance at the middle of each step, float32.
        t_starts: where each step begins, float32, ascending in each ray, in the distance's unit.
        t_ends: where it ends, float32.
        packed_info: (start, count) of each ray's steps, int32.
        inv_s: sharpness of the surface, > 0, one number.
        max_inv_s: what it is taken for where it is more, > 0.

    Returns:
        The weight of each step; 0 in padding. Not differentiable.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device, or a ``max_inv_s`` that is not > 0.

    Example:
        The surface lies in the middle of the second of three steps, in which a ray loses all but :math:`e^{-2}` of what it still has.

        >>> edges, sdf = torch.tensor([0.0, 2.0, 4.0, 6.0]), torch.tensor([2.0, 0.0, -2.0])
        >>> packed_info = torch.tensor([[0, 3]], dtype=torch.int32)
        >>> surface_weights(sdf, edges[:-1], edges[1:], packed_info, torch.tensor(2.0))
        tensor([0.1170, 0.7635, 0.1170])

    Source: Wang et al., NeuS, 2021, equation 13, with the slopes of their code's up-sampling.
    """
    sdf = require_tensor("sdf", sdf, torch.float32, (None,))
    steps = {
        "sdf": sdf,
        "t_starts": require_tensor("t_starts", t_starts, torch.float32, (len(sdf),)),
        "t_ends": require_tensor("t_ends", t_ends, torch.float32, (len(sdf),)),
        "packed_info": require_tensor("packed_info", packed_info, torch.int32, (None, 2)),
        "inv_s": require_tensor("inv_s", inv_s, torch.float32, ()).view(1),
    }
    device = require_same_device(**steps)
    max_inv_s = require_positive("max_inv_s", max_inv_s, allow_inf=True)

    from nerf_plugins.kernels.launch import launch
    from nerf_plugins.kernels.surface import surface_weights as kernel

    weights = torch.zeros_like(sdf)
    launch(kernel, len(packed_info), [*steps.values(), max_inv_s, weights], device)
    return weights


class Exploration(NamedTuple):
    """How rays on which nothing was found are sampled all the same."""

    share: float
    """Of these rays, in [0, 1]."""
    chances: Float[Tensor, "n_rays"]
    """A number of each ray; those below the share explore."""
    places: Float[Tensor, "n_rays n_edges"]
    """Where their sections' edges are, ascending in [0, 1]."""
    nears: Float[Tensor, "n_rays"]
    """What 0 is."""
    fars: Float[Tensor, "n_rays"]
    """What 1 is."""


class Sections(NamedTuple):
    """Pieces of rays, as many of each ray."""

    t_starts: Float[Tensor, "n_rays n"]
    t_ends: Float[Tensor, "n_rays n"]
    keep: Bool[Tensor, "n_rays n"]
    """Which of them are to be samples: those with a length on rays where something was found, or which explore."""


@torch.no_grad()
def surface_sections(
    edges: Float[Tensor, "n_rays n_edges"],
    packed_info: Int[Tensor, "n_rays 2"],
    longest: float,
    exploration: Exploration | None = None,
) -> Sections:
    """The sections between edges that were drawn where a march of rays saw the surface.

    None is longer than ``longest``: the march may have left the occupied cells between two edges. A section ends where it would be longer;
    the first one of a ray begins there.

    Args:
        edges: at least two of each ray, ascending, float32.
        packed_info: (start, count) of each ray's steps of the march, int32; where the count is 0 nothing was found.
        longest: > 0.
        exploration: of the rays on which nothing was found; None: they are not sampled. Its sections may have any length.

    Returns:
        One section less than edges of each ray. Not differentiable.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device, or a ``longest`` that is not > 0.

    Example:
        The first ray has met something, the second one has not and explores the whole of its way.

        >>> edges = torch.tensor([[0.0, 3.0, 3.5, 9.0], [0.0, 0.0, 0.0, 0.0]])
        >>> packed_info = torch.tensor([[0, 5], [5, 0]], dtype=torch.int32)
        >>> even = torch.tensor([0.0, 0.25, 0.5, 1.0]).expand(2, 4)
        >>> explore = Exploration(0.1, torch.tensor([0.05, 0.05]), even, torch.full((2,), 2.0), torch.full((2,), 6.0))
        >>> sections = surface_sections(edges, packed_info, 1.0, explore)
        >>> sections.t_starts.tolist(), sections.t_ends.tolist()
        ([[2.0, 3.0, 3.5], [2.0, 3.0, 4.0]], [[3.0, 3.5, 4.5], [3.0, 4.0, 6.0]])
    """
    edges = require_tensor("edges", edges, torch.float32, (None, None))
    n_rays, n = edges.shape[0], edges.shape[1] - 1
    if n < 1:
        raise ValueError(f"edges must be at least two of each ray, got {edges.shape[1]}")
    packed_info = require_tensor("packed_info", packed_info, torch.int32, (n_rays, 2))
    longest = require_positive("longest", longest, allow_inf=True)
    nothing = edges.new_empty(0)
    share, explored = 0.0, [nothing] * 4
    if exploration is not None:
        share = require_positive("share", exploration.share, allow_zero=True)
        shapes = {"chances": (n_rays,), "places": (n_rays, n + 1), "nears": (n_rays,), "fars": (n_rays,)}
        explored = [require_tensor(k, getattr(exploration, k), torch.float32, shape) for k, shape in shapes.items()]
    chances, places, nears, fars = explored
    device = require_same_device(
        edges=edges, packed_info=packed_info, chances=chances, places=places, nears=nears, fars=fars
    )

    from nerf_plugins.kernels.launch import launch
    from nerf_plugins.kernels.surface import surface_sections as kernel

    t_starts, t_ends = torch.empty(2, n_rays, n, device=device).unbind(0)
    sections = Sections(t_starts, t_ends, torch.empty(n_rays, n, dtype=torch.bool, device=device))
    arguments = [n, edges.view(-1), packed_info, longest, share, *(value.view(-1) for value in explored)]
    launch(kernel, n_rays * n, [*arguments, *(value.view(-1) for value in sections)], device)
    return sections
