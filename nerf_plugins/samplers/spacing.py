"""Edges and places on rays: evenly in t or in disparity, jittered or not."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.ops import PackedSamples, sample_pdf
from nerf_plugins.spaces import Space

# The largest float32 below 1: a quantile of 1 would lie behind the last sample.
BELOW_ONE = 1.0 - 2**-24


def even_edges(
    n_rays: int, n: int, device: torch.device, stratified: bool, ends: bool = False, last: float = 1.0
) -> Float[Tensor, "n_rays n_edges"]:
    """The ``n + 1`` edges of n even shares of [0, 1].

    Args:
        n_rays: how many rays.
        n: shares.
        device: of the result.
        stratified: move each inner edge by up to half a share.
        ends: move the first and the last one too, within [0, 1].
        last: where the last one is, unless it is moved.
    """
    if not stratified:
        return _edge_ranges(n, 0.0, ends, last, device)[0].expand(n_rays, -1)
    lows, widths = _edge_ranges(n, 1.0 / n, ends, last, device)
    edges = torch.addcmul(lows, torch.rand(n_rays, n + 1, device=device), widths)
    return edges.clamp(0.0, 1.0) if ends else edges


@lru_cache(maxsize=32)
def _edge_ranges(n: int, width: float, ends: bool, last: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each edge may begin and how far its range goes, (n + 1,) each: the same in each step, and nobody writes into them."""
    with torch.inference_mode(False):  # a training step may be the next to take them
        edges = torch.linspace(0.0, 1.0, n + 1, device=device)
        widths = torch.full_like(edges, width)
        edges[-1:].fill_(last)
        if not ends:
            widths[:1].fill_(0.0)
            widths[-1:].fill_(0.0)
        return edges - 0.5 * widths, widths


def quantiles(n_rays: int, n: int, device: torch.device, stratified: bool) -> Float[Tensor, "n_rays n"]:
    """Places in the n even shares of [0, 1): their middles, or anywhere in each when ``stratified``."""
    offset = torch.rand(n_rays, n, device=device) if stratified else 0.5
    return ((torch.arange(n, device=device) + offset) / n).clamp(max=BELOW_ONE).expand(n_rays, n)


def spread_evenly(
    s: Float[Tensor, "n_rays n"], nears: Float[Tensor, "n_rays"], fars: Float[Tensor, "n_rays"]
) -> Float[Tensor, "n_rays n"]:
    """s in [0, 1] -> t in [near, far], evenly in t."""
    return nears[:, None] + s * (fars - nears)[:, None]


def spread_in_disparity(
    s: Float[Tensor, "n_rays n"], nears: Float[Tensor, "n_rays"], fars: Float[Tensor, "n_rays"]
) -> Float[Tensor, "n_rays n"]:
    """s in [0, 1] -> t in [near, far], evenly in 1 / (1 + t); exact at both ends, however far."""
    return 1.0 / torch.lerp((1.0 / (1.0 + nears))[:, None], (1.0 / (1.0 + fars))[:, None], s) - 1.0


def spread_in(
    space: Space, s: Float[Tensor, "n_rays n"], nears: Float[Tensor, "n_rays"], fars: Float[Tensor, "n_rays"]
) -> Float[Tensor, "n_rays n"]:
    """s in [0, 1] -> t in [near, far], as the space spreads samples."""
    spread = spread_evenly if space.spacing == "uniform" else spread_in_disparity
    return spread(s, nears, fars)


def pack_edges(edges: Float[Tensor, "n_rays n_edges"]) -> PackedSamples:
    """Ascending edges of each ray -> its intervals as packed samples."""
    n_rays, n_edges = edges.shape
    layout = _even_layout(n_rays, n_edges - 1, edges.device)
    return layout._replace(t_starts=edges[:, :-1].reshape(-1), t_ends=edges[:, 1:].reshape(-1))


@lru_cache(maxsize=16)
def _even_layout(n_rays: int, n: int, device: torch.device) -> PackedSamples:
    """Which samples belong to which ray where each has n, still without t: the same in each step, and nobody writes into it."""
    with torch.inference_mode(False):  # a training step may be the next to take them
        starts = torch.arange(n_rays, dtype=torch.int32, device=device) * n
        nothing = torch.empty(0, device=device)
        return PackedSamples(
            ray_indices=torch.arange(n_rays, dtype=torch.int32, device=device).repeat_interleave(n),
            t_starts=nothing,
            t_ends=nothing,
            packed_info=torch.stack([starts, torch.full_like(starts, n)], dim=-1),
            n_dropped_rays=starts.new_zeros(()),
            n_wanted=starts.new_full((), n_rays * n, dtype=torch.int64),
        )


def blurred(weights: Float[Tensor, "n_rays n"]) -> Float[Tensor, "n_rays n"]:
    r""":math:`(\max(w_{k-1}, w_k) + \max(w_k, w_{k+1})) / 2` of each ray's weights, so that what lies just beside an edge is found too.

    Example:
        >>> blurred(torch.tensor([[0.0, 1.0, 0.0, 0.0]])).tolist()
        [[0.5, 1.0, 0.5, 0.0]]

    Source: Barron et al., Mip-NeRF, 2021, equation 18.
    """
    larger = torch.maximum(weights[:, 1:], weights[:, :-1])
    return 0.5 * (torch.cat([weights[:, :1], larger], -1) + torch.cat([larger, weights[:, -1:]], -1))


@torch.no_grad()
def draw_edges(
    samples: PackedSamples,
    weights: Float[Tensor, "n_samples"],
    n: int,
    stratified: bool,
    padding: float,
    power: float = 1.0,
) -> Float[Tensor, "n_rays n_edges"]:
    """The ascending edges of n intervals of each ray, drawn where its weights are, after these were :func:`blurred`.

    Args:
        samples: intervals, as many on each ray.
        weights: of the intervals.
        n: intervals wanted.
        stratified: draw at random, as for :func:`quantiles`.
        padding: added to each blurred weight, > 0, so that nothing is never looked at.
        power: of the weights with their padding; 0 makes them even.
    """
    n_rays = len(samples.packed_info)
    drawn_from = (blurred(weights.view(n_rays, -1)) + padding) ** power
    u = quantiles(n_rays, n + 1, weights.device, stratified)
    return sample_pdf(samples.t_starts, samples.t_ends, drawn_from.reshape(-1), samples.packed_info, u)
