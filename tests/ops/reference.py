"""Slow references in plain torch, written from the definitions, in float64.

Marching enumerates every interval of a ray's lattice and looks up its cell; the others loop over rays.
Nothing here skips, packs or scans, so nothing here can share a mistake with the kernels.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

# ---------------------------------------------------------------------------------------------------------------------
# Marching
# ---------------------------------------------------------------------------------------------------------------------

FACE_BAND = 1e-5
"""The named band: float32 may decide differently where a midpoint is this close (relative to the numbers that enter its
position) to a face of a cell or box, or to the end of the ray. Anywhere else a sample is required or forbidden."""

EDGE_TOLERANCE = 1e-5
"""How far an edge of an interval may be off, relative to the size of the t that enter its computation."""


class Lattice(NamedTuple):
    """All intervals of one ray up to the end of the box, and a little further."""

    t_starts: Tensor
    t_ends: Tensor
    is_sample: Tensor
    """The definition's answer: the midpoint lies before t_exit, in an occupied cell."""
    in_band: Tensor
    """The midpoint is so close to a face or to t_exit that float32 may answer differently."""
    edge_tolerance: float
    """How far an edge computed in float32 may be off, in t."""


def march_lattice(
    origin: Tensor,
    direction: Tensor,
    near: float,
    far: float,
    occupancy: Tensor,
    aabb: Tensor,
    *,
    step_size: float,
    cone_angle: float = 0.0,
    max_step_size: float = math.inf,
    jitter: float = 0.0,
) -> Lattice:
    """The lattice of one ray, with every interval marked: a sample, not a sample, or too close to call."""
    origin, direction, aabb = origin.double(), direction.double(), aabb.double()
    near, far, jitter = float(near), float(far), float(jitter)
    finite = torch.isfinite(torch.cat([origin, direction])).all() and math.isfinite(near) and math.isfinite(far)
    if not finite or near >= far:
        return _empty_lattice()
    scale = float(origin.abs().max() + aabb.abs().max() + _extent(aabb, occupancy).max())
    outermost = level_box(aabb, occupancy.shape[0] - 1)
    t_enter, t_exit = _overlap(origin, direction, near, far, outermost, slack=FACE_BAND * scale)
    if not t_enter < t_exit:
        return _empty_lattice()

    scale_in_t = scale / float(direction.norm()) + max(abs(t_enter), abs(t_exit))

    def delta(t: float) -> float:
        return min(max(cone_angle * t, step_size), max_step_size)

    edges = [t_enter + jitter * delta(t_enter)]
    beyond = t_exit + FACE_BAND * scale_in_t
    while len(edges) < 2 or (edges[-1] + edges[-2]) / 2 <= beyond:
        if cone_angle == 0.0:
            edges.append(edges[0] + len(edges) * delta(0.0))
        else:
            edges.append(edges[-1] + delta(edges[-1]))
        assert len(edges) < 100_000, "the case is too long for the reference"

    edges = torch.tensor(edges, dtype=torch.float64)
    t_starts, t_ends = edges[:-1], edges[1:]
    midpoints = (t_starts + t_ends) / 2
    occupied, near_face = look_up(origin + midpoints[:, None] * direction, occupancy, aabb, slack=scale)
    near_exit = (midpoints - t_exit).abs() <= FACE_BAND * scale_in_t
    return Lattice(
        t_starts, t_ends, occupied & (midpoints < t_exit), near_face | near_exit, EDGE_TOLERANCE * scale_in_t
    )


def level_box(aabb: Tensor, level: int) -> Tensor:
    """The box of a cascade level: the centre of level 0 and 2^level times its half extents."""
    centre, half = (aabb[0] + aabb[1]) / 2, (aabb[1] - aabb[0]) / 2
    return torch.stack([centre - 2**level * half, centre + 2**level * half])


def look_up(points: Tensor, occupancy: Tensor, aabb: Tensor, slack: float = 1.0) -> tuple[Tensor, Tensor]:
    """Whether each point's cell, in the finest level that holds it, is occupied; and whether a face is in the band.

    Args:
        points: positions in the world.
        occupancy: the grid.
        aabb: the box of level 0.
        slack: size of the numbers that the points were computed from.
    """
    resolution = torch.tensor(occupancy.shape[1:])
    occupied, near_face = [], []
    for point in points.double():
        band = FACE_BAND * (slack + float(point.abs().max()))
        answer, close, found = False, False, False
        for level in range(occupancy.shape[0]):
            low, high = level_box(aabb.double(), level)
            close |= bool((((point - low).abs() <= band) | ((point - high).abs() <= band)).any())
            if found or not bool(((point >= low) & (point <= high)).all()):
                continue
            found = True
            size = (high - low) / resolution
            cell = (point - low) / size
            close |= bool(((cell - cell.round()).abs() * size <= band).any())
            x, y, z = torch.minimum(cell.floor().long(), resolution - 1).tolist()
            answer = bool(occupancy[level, x, y, z])
        occupied.append(answer)
        near_face.append(close)
    return torch.tensor(occupied, dtype=torch.bool), torch.tensor(near_face, dtype=torch.bool)


def _overlap(
    origin: Tensor, direction: Tensor, near: float, far: float, box: Tensor, slack: float
) -> tuple[float, float]:
    """[t_enter, t_exit] of a ray in a box, within [near, far]; t_enter > t_exit if it misses.

    A ray along a face counts as inside up to the slack: its midpoints are then outside, but in the band.
    """
    t_enter, t_exit = near, far
    for o, d, low, high in zip(origin.tolist(), direction.tolist(), box[0].tolist(), box[1].tolist(), strict=True):
        if d == 0.0:
            if not low - slack <= o <= high + slack:
                return math.inf, -math.inf
        else:
            first, second = sorted([(low - o) / d, (high - o) / d])
            t_enter, t_exit = max(t_enter, first), min(t_exit, second)
    return t_enter, t_exit


def _extent(aabb: Tensor, occupancy: Tensor) -> Tensor:
    return (aabb[1] - aabb[0]) * 2 ** (occupancy.shape[0] - 1)


def _empty_lattice() -> Lattice:
    nothing = torch.zeros(0, dtype=torch.float64)
    return Lattice(nothing, nothing, nothing.bool(), nothing.bool(), 0.0)


def assert_same_samples(samples, origins, directions, nears, fars, occupancy, aabb, *, jitter=None, **steps) -> float:
    """Compare packed samples with the lattice of every ray, strictly outside the band.

    (a) Every sample is an interval of the lattice, ascending, in an occupied cell or in the band.
    (b) Every interval in an occupied cell that is not in the band is a sample.

    Returns:
        The share of the lattice's intervals that the band excused from comparison.
    """
    n_intervals, n_excused = 0, 0
    t_starts, t_ends = samples.t_starts.double().cpu(), samples.t_ends.double().cpu()
    ray_indices = samples.ray_indices.cpu()
    position = 0
    for ray, (start, count) in enumerate(samples.packed_info.cpu().tolist()):
        u = 0.0 if jitter is None else float(jitter[ray])
        lattice = march_lattice(
            origins[ray], directions[ray], nears[ray], fars[ray], occupancy, aabb, jitter=u, **steps
        )
        n_intervals += len(lattice.t_starts)
        n_excused += int(lattice.in_band.sum())
        where = f"ray {ray}: o={origins[ray].tolist()} d={directions[ray].tolist()}"
        if count == 0:
            missed = lattice.is_sample & ~lattice.in_band
            assert not missed.any(), f"{where}: none of {int(missed.sum())} samples found, first {missed.nonzero()[0]}"
            continue
        assert start == position, f"{where}: starts at {start}, the rays before it end at {position}"
        position += count
        mine = slice(start, start + count)
        assert (ray_indices[mine] == ray).all(), where

        assert len(lattice.t_starts), f"{where}: has {count} samples but misses the box"
        middles = (lattice.t_starts + lattice.t_ends) / 2
        index = ((t_starts[mine] + t_ends[mine]) / 2)[:, None].sub(middles).abs().argmin(dim=1)
        assert (index.diff() > 0).all(), f"{where}: samples not ascending: {index.tolist()}"
        error = torch.stack([t_starts[mine] - lattice.t_starts[index], t_ends[mine] - lattice.t_ends[index]]).abs()
        assert error.max() <= lattice.edge_tolerance, f"{where}: an edge is off the lattice by {error.max()}"

        returned = torch.zeros(len(middles), dtype=torch.bool)
        returned[index] = True
        wrong = returned & ~lattice.is_sample & ~lattice.in_band
        missed = lattice.is_sample & ~returned & ~lattice.in_band
        assert not wrong.any(), f"{where}: intervals {wrong.nonzero()[:, 0].tolist()} are in no occupied cell"
        assert not missed.any(), f"{where}: intervals {missed.nonzero()[:, 0].tolist()} were missed"
    assert position == len(ray_indices) or (t_ends[position:] == 0).all()
    return n_excused / max(n_intervals, 1)


# ---------------------------------------------------------------------------------------------------------------------
# Compositing
# ---------------------------------------------------------------------------------------------------------------------

NO_WEIGHT = 1e-10
"""A ray with no more accumulation than this has no depth."""


class ReferenceComposite(NamedTuple):
    rgb: Tensor
    accumulation: Tensor
    depth: Tensor
    median_depth: Tensor
    weights: Tensor
    transmittance: Tensor


def composite(
    sigmas: Tensor,
    rgbs: Tensor,
    t_starts: Tensor,
    t_ends: Tensor,
    packed_info: Tensor,
    early_stop_eps: float = 0.0,
) -> ReferenceComposite:
    """Volume rendering of each ray by itself, differentiable by torch's autograd."""
    weights, transmittance = torch.zeros_like(sigmas), torch.zeros_like(sigmas)
    rgb, accumulation, depth, median_depth = [], [], [], []
    for start, count in packed_info.tolist():
        ray = slice(start, start + count)
        optical_depth = sigmas[ray] * (t_ends[ray] - t_starts[ray])
        before = torch.cat([optical_depth.new_zeros(1), optical_depth.cumsum(0)])[:count]
        ray_transmittance = torch.exp(-before)
        # 1 - exp loses the small alphas, and the gradient of expm1 the small 1 - alphas.
        alphas = torch.where(optical_depth < 0.5, -torch.expm1(-optical_depth), 1 - torch.exp(-optical_depth))
        ray_weights = torch.where(ray_transmittance < early_stop_eps, 0.0, ray_transmittance * alphas)
        midpoints = (t_starts[ray] + t_ends[ray]) / 2
        total = ray_weights.sum()

        index = torch.arange(start, start + count)
        weights = weights.index_put((index,), ray_weights)
        transmittance = transmittance.index_put((index,), ray_transmittance)
        rgb.append((ray_weights[:, None] * rgbs[ray]).sum(0))
        accumulation.append(total)
        depth.append((ray_weights * midpoints).sum() / total if total > NO_WEIGHT else total * 0.0)
        median_depth.append(_median(ray_weights.detach(), midpoints.detach()))
    if not rgb:
        none = sigmas.sum() * 0.0 + sigmas.new_zeros(0)
        return ReferenceComposite(none[:, None].expand(0, 3), none, none, none, weights, transmittance)
    return ReferenceComposite(
        torch.stack(rgb),
        torch.stack(accumulation),
        torch.stack(depth),
        torch.stack(median_depth),
        weights,
        transmittance,
    )


def _median(weights: Tensor, midpoints: Tensor) -> Tensor:
    if weights.sum() <= 0:
        return midpoints.new_zeros(())
    return midpoints[int((weights.cumsum(0) >= weights.sum() / 2).nonzero()[0])]


class GradientScale(NamedTuple):
    """The sum of the absolute values of the terms a gradient is made of: what float32's error is relative to."""

    sigmas: Tensor
    rgbs: Tensor


def composite_gradient_scale(
    sigmas, rgbs, t_starts, t_ends, packed_info, grad_rgb, grad_accumulation, grad_depth, grad_weights
) -> GradientScale:
    """Size of the terms of the gradients with respect to sigmas and rgbs, by the closed form.

    ``dL/dsigma_i = delta_i (T_{i+1} g_i - sum_{j>i} w_j g_j)`` with ``g_j = dL/dw_j``.
    """
    out = composite(sigmas, rgbs, t_starts, t_ends, packed_info)
    sigma_scale, rgb_scale = torch.zeros_like(sigmas), torch.zeros_like(rgbs)
    for ray, (start, count) in enumerate(packed_info.tolist()):
        mine = slice(start, start + count)
        weights, midpoints = out.weights[mine], (t_starts[mine] + t_ends[mine]) / 2
        g = (grad_rgb[ray].abs() * rgbs[mine].abs()).sum(-1) + grad_accumulation[ray].abs() + grad_weights[mine].abs()
        if out.accumulation[ray] > NO_WEIGHT:
            g = g + grad_depth[ray].abs() * (midpoints.abs() + out.depth[ray].abs()) / out.accumulation[ray]
        deltas = t_ends[mine] - t_starts[mine]
        after = out.transmittance[mine] * torch.exp(-sigmas[mine] * deltas)
        suffix = (weights * g).flip(0).cumsum(0).flip(0) - weights * g
        sigma_scale[mine] = deltas * (after * g + suffix)
        rgb_scale[mine] = weights[:, None] * grad_rgb[ray].abs()
    return GradientScale(sigma_scale, rgb_scale)


# ---------------------------------------------------------------------------------------------------------------------
# Sampling a pdf
# ---------------------------------------------------------------------------------------------------------------------

PDF_PADDING = 1e-5
"""What every weight is raised by, so that no interval has the probability 0."""


def pdf_edges(weights: Tensor) -> tuple[Tensor, Tensor]:
    """The probability of each interval of one ray, and the cdf at its start."""
    probability = (weights.double() + PDF_PADDING) / (weights.double() + PDF_PADDING).sum()
    return probability, probability.cumsum(0) - probability


def sample_pdf(t_starts: Tensor, t_ends: Tensor, weights: Tensor, packed_info: Tensor, u: Tensor) -> Tensor:
    """Inverse of each ray's cdf at u."""
    t = torch.zeros(u.shape, dtype=torch.float64)
    for ray, (start, count) in enumerate(packed_info.tolist()):
        if count == 0:
            continue
        probability, cdf = pdf_edges(weights[start : start + count])
        for k, value in enumerate(u[ray].double().tolist()):
            interval = max(int((cdf <= value).sum()) - 1, 0)
            fraction = min((value - float(cdf[interval])) / float(probability[interval]), 1.0)
            low, high = float(t_starts[start + interval]), float(t_ends[start + interval])
            t[ray, k] = low + fraction * (high - low)
    return t


def cdf_at(t: Tensor, t_starts: Tensor, t_ends: Tensor, weights: Tensor) -> Tensor:
    """The cdf of one ray at t: flat in the gaps between intervals."""
    probability, _ = pdf_edges(weights)
    t_starts, t_ends = t_starts.double(), t_ends.double()
    fraction = ((t.double()[:, None] - t_starts) / (t_ends - t_starts)).clamp(0, 1)
    return (fraction * probability).sum(-1)


# ---------------------------------------------------------------------------------------------------------------------
# Losses of histograms
# ---------------------------------------------------------------------------------------------------------------------


def interlevel_loss(t_starts, t_ends, weights, packed_info, starts, ends, proposed, info) -> Tensor:
    """Every pair of intervals of each ray is looked at."""
    losses = []
    for (first, count), (start, number) in zip(packed_info.tolist(), info.tolist()):
        mine, theirs = slice(first, first + count), slice(start, start + number)
        overlaps = (starts[theirs] < t_ends[mine, None]) & (ends[theirs] > t_starts[mine, None])
        bounds = (overlaps * proposed[theirs]).sum(-1)
        excess = (weights[mine] - bounds).clamp(min=0)
        losses.append((excess**2 / (weights[mine] + 1e-7)).sum())
    return torch.stack(losses)


def distortion_loss(weights, s_starts, s_ends, packed_info) -> Tensor:
    """Every pair of samples of each ray is looked at."""
    losses = []
    for first, count in packed_info.tolist():
        mine = slice(first, first + count)
        w, middles, widths = weights[mine], 0.5 * (s_starts + s_ends)[mine], (s_ends - s_starts)[mine]
        pairs = w * w[:, None] * (middles - middles[:, None]).abs()
        losses.append(pairs.sum() + (w**2 * widths).sum() / 3)
    return torch.stack(losses)
