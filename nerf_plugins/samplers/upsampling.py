"""Sampling rays where a signed distance field has its surface: the NeuS paper's way, and through an occupancy grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.ops import PackedSamples, composite, pack_sections, sample_pdf, sdf_optical_depths
from nerf_plugins.samplers.occupancy import OccupancySampler, OccupancySamplerConfig
from nerf_plugins.spaces import CubeSpace, Rays

SdfFn = Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]]

SURFACE_MARCH_ROOM = 2
"""On CUDA the march to the surface has room for this many times the samples of a batch; its steps see the distance only."""

# Sharper than this over a step of the march, a surface would draw all samples of a ray into one step: what is wrong beside it would
# never be seen, and a training that goes on loses the surface.
_SHARPEST_OVER_STEP = 4.0
# A section between two samples is never longer than this many steps of the march: what lies between may be unoccupied.
_LONGEST_SECTION = 2.0


@dataclass
class UpSamplingSamplerConfig:
    """The NeuS paper's sampler."""

    n_samples: int = 64
    """Even samples of each ray."""
    n_importance: int = 64
    """Samples that are added where the surface is."""
    up_sample_steps: int = 4
    """Rounds in which they are added; each takes the surface to be twice as sharp as the one before."""
    first_inv_s: float = 64.0
    """Sharpness of the first round."""

    def __post_init__(self) -> None:
        if self.n_samples < 2 or self.up_sample_steps < 1:
            raise InputError(
                f"up-sampling: n_samples must be >= 2 and up_sample_steps >= 1, got {self.n_samples} and {self.up_sample_steps}"
            )
        if self.n_importance < self.up_sample_steps:
            raise InputError(
                f"up-sampling: n_importance must be >= up_sample_steps = {self.up_sample_steps}, got {self.n_importance}"
            )
        if not self.first_inv_s > 0:
            raise InputError(f"up-sampling: first_inv_s must be > 0, got {self.first_inv_s}")


class UpSamplingSampler(nn.Module):
    """Even samples over the box, then rounds of samples drawn by the opacity they would have were the surface this sharp.

    Source: Wang et al., NeuS, 2021, supplementary B.3.
    """

    def __init__(self, config: UpSamplingSamplerConfig, space: CubeSpace) -> None:
        super().__init__()
        self.config = config
        self.space = space

    @torch.no_grad()
    def sample(self, rays: Rays, sdf_fn: SdfFn, inv_s: Float[Tensor, ""], stratified: bool) -> PackedSamples:
        """Sections of each ray, at whose midpoints the field is to be evaluated.

        Args:
            rays: rays of the space.
            sdf_fn: distances at positions in the space.
            inv_s: not used: the rounds have their own sharpness.
            stratified: move the even samples of each ray by a random share of their spacing (training).
        """
        c = self.config
        nears, fars = self.space.clip(rays)
        t = torch.linspace(0.0, 1.0, c.n_samples, device=nears.device) * (fars - nears)[:, None] + nears[:, None]
        if stratified:
            t = t + (torch.rand_like(nears) - 0.5)[:, None] * ((fars - nears) / c.n_samples)[:, None]
        sdf = sdf_along(rays, t, sdf_fn)
        new = [c.n_importance // c.up_sample_steps] * c.up_sample_steps
        new[-1] += c.n_importance % c.up_sample_steps
        for i, n_new in enumerate(new):
            t_new = self._draw(t, sdf, nears.new_full((), c.first_inv_s * 2.0**i), n_new)
            last = i + 1 == len(new)
            sdf_new = torch.zeros_like(t_new) if last else sdf_along(rays, t_new, sdf_fn)
            t, order = torch.cat([t, t_new], dim=-1).sort(dim=-1)
            sdf = torch.cat([sdf, sdf_new], dim=-1).gather(-1, order)
        # The paper's last section has the length of an even step.
        t_ends = torch.cat([t[:, 1:], t[:, -1:] + ((fars - nears) / c.n_samples)[:, None]], dim=-1)
        return pack_sections(t, t_ends, t_ends > t, capacity=t.numel() if stratified and t.is_cuda else None)

    def _draw(self, t: Tensor, sdf: Tensor, inv_s: Tensor, n_new: int) -> Tensor:
        """Where the sections between the samples are opaque; a section falls as steeply as the steeper of itself and the one before."""
        widths = t[:, 1:] - t[:, :-1]
        slopes = (sdf[:, 1:] - sdf[:, :-1]) / (widths + 1e-5)
        before = torch.cat([torch.zeros_like(slopes[:, :1]), slopes[:, :-1]], dim=-1)
        slopes = torch.minimum(before, slopes).clamp(-1e3, 0.0)
        middle = 0.5 * (sdf[:, 1:] + sdf[:, :-1])
        everything = torch.ones_like(widths, dtype=torch.bool)
        samples = pack_sections(t[:, :-1], t[:, 1:], everything, capacity=widths.numel())
        depths = sdf_optical_depths(middle.view(-1), slopes.view(-1), widths.reshape(-1), inv_s)
        u = (torch.arange(n_new, device=t.device) + 0.5) / n_new
        return sample_pdf(
            samples.t_starts,
            samples.t_ends,
            section_weights(samples, depths),
            samples.packed_info,
            u.expand(len(t), -1),
        )


@dataclass
class SurfaceSamplerConfig:
    """Marching through the occupancy grid to the surface, and samples around it."""

    occupancy: OccupancySamplerConfig = field(default_factory=OccupancySamplerConfig)
    """The march that looks for the surface; its samples see the distance only."""
    n_samples: int = 16
    """Samples of a ray that meets an occupied cell."""
    max_inv_s: float | None = None
    """Samples are spread as if the surface were no sharper than this. None: 4 over the length of a step of the march."""
    explore: float = 0.1
    """Share of the training rays without an occupied cell that are sampled evenly all the same, so that a missing part can form."""

    def __post_init__(self) -> None:
        if self.n_samples < 2:
            raise InputError(f"surface sampler: n_samples must be >= 2, got {self.n_samples}")
        if self.max_inv_s is not None and not self.max_inv_s > 0:
            raise InputError(f"surface sampler: max_inv_s must be > 0, got {self.max_inv_s}")
        if not 0 <= self.explore <= 1:
            raise InputError(f"surface sampler: explore must be in [0, 1], got {self.explore}")


class SurfaceSampler(nn.Module):
    """Marches the grid, evaluates the distance there, and draws the samples of a ray by the opacity of the march's steps.

    A ray that meets no occupied cell has no samples, but for a random few in training.
    """

    num_march_steps: Tensor
    """(n_rays,) steps of each ray of the last batch."""

    def __init__(self, config: SurfaceSamplerConfig, space: CubeSpace) -> None:
        super().__init__()
        self.config = config
        self.space = space
        self.march = OccupancySampler(config.occupancy, space)

    @torch.no_grad()
    def sample(
        self,
        rays: Rays,
        sdf_fn: SdfFn,
        inv_s: Float[Tensor, ""],
        stratified: bool,
        opacity_threshold: float | None = None,
    ) -> PackedSamples:
        """Sections of each ray, at whose midpoints the field is to be evaluated.

        Args:
            rays: rays of the space.
            sdf_fn: distances at positions in the space.
            inv_s: sharpness of the surface.
            stratified: draw at random places of even shares of the opacity (training); a fixed buffer on CUDA.
            opacity_threshold: of the grid in pictures, other than its own.
        """
        if stratified:
            steps = self.march.march(rays, room=SURFACE_MARCH_ROOM)
        else:
            steps = self.march.march_for_render(rays, opacity_threshold=opacity_threshold)
        self.num_march_steps = steps.packed_info[:, 1]
        sharpest = self.config.max_inv_s or _SHARPEST_OVER_STEP / self.march.step_size
        depths = self._optical_depths(rays, steps, sdf_fn, inv_s.clamp(max=sharpest))
        u = self._quantiles(len(rays.origins), depths.device, stratified)
        t = sample_pdf(steps.t_starts, steps.t_ends, section_weights(steps, depths), steps.packed_info, u)
        # Sections end where the march may have left the occupied cells; the first one begins there.
        longest = _LONGEST_SECTION * self.march.step_size * self.march.coarseness
        t_starts, t_ends = t[:, :-1].clone(), torch.minimum(t[:, 1:], t[:, :-1] + longest)
        t_starts[:, 0] = torch.maximum(t[:, 0], t[:, 1] - longest)
        t_ends[:, 0] = t[:, 1]
        meets = steps.packed_info[:, 1:] > 0
        if stratified and self.config.explore > 0:
            explores = ~meets & (torch.rand_like(t[:, :1]) < self.config.explore)
            nears, fars = self.space.clip(rays)
            even = nears[:, None] + u * (fars - nears)[:, None]
            t_starts, t_ends = torch.where(explores, even[:, :-1], t_starts), torch.where(explores, even[:, 1:], t_ends)
            meets = meets | explores
        keep = meets & (t_ends > t_starts)
        capacity = self.march.capacity if stratified and t.is_cuda else None
        samples = pack_sections(t_starts, t_ends, keep, capacity=capacity)
        return samples._replace(n_dropped_rays=samples.n_dropped_rays + steps.n_dropped_rays)

    def _quantiles(self, n_rays: int, device: torch.device, stratified: bool) -> Tensor:
        """(n_rays, n + 1) ascending from 0 to 1: without the tails some light would leak through every surface."""
        n = self.config.n_samples
        jitter = torch.rand(n_rays, n + 1, device=device) - 0.5 if stratified else 0.0
        u = ((torch.arange(n + 1, device=device) + jitter) / n).expand(n_rays, -1).clone()
        u[:, 0], u[:, -1] = 0.0, 1.0
        return u.clamp(0.0, 1.0 - 2**-24)

    def _optical_depths(self, rays: Rays, steps: PackedSamples, sdf_fn: SdfFn, inv_s: Tensor) -> Tensor:
        """Of the march's steps; the slope at a step is the steeper fall towards its two neighbours."""
        t = 0.5 * (steps.t_starts + steps.t_ends)
        sdf = sdf_fn(rays.positions(steps.ray_indices, t))
        same_ray = steps.ray_indices[1:] == steps.ray_indices[:-1]
        slopes = (sdf[1:] - sdf[:-1]) / (t[1:] - t[:-1]).clamp(min=1e-6)
        # A step alone on its ray is taken to meet the surface head on.
        slopes = torch.where(same_ray, slopes, -1.0).clamp(-1.0, 0.0)
        end = slopes.new_full((1,), -1.0)
        after, before = torch.cat([slopes, end]), torch.cat([end, slopes])
        return sdf_optical_depths(sdf, torch.minimum(before, after)[: len(sdf)], steps.t_ends - steps.t_starts, inv_s)


def sdf_along(rays: Rays, t: Float[Tensor, "n_rays n"], sdf_fn: SdfFn) -> Float[Tensor, "n_rays n"]:
    """Distances at places of each ray."""
    positions = rays.origins[:, None] + t[..., None] * rays.directions[:, None]
    return sdf_fn(positions.reshape(-1, 3)).view_as(t)


def section_weights(samples: PackedSamples, optical_depths: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Rendering weights of sections with these optical depths."""
    sigmas = optical_depths / (samples.t_ends - samples.t_starts).clamp(min=1e-10)
    rgbs = sigmas.new_zeros(len(sigmas), 3)
    return composite(sigmas, rgbs, samples.t_starts, samples.t_ends, samples.packed_info).weights
