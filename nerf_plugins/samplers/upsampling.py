"""The NeuS paper's sampler: even samples, then rounds of samples where the surface is."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.sdf import Surface
from nerf_plugins.ops import pack_sections, sample_pdf, sdf_optical_depths
from nerf_plugins.rays import Rays
from nerf_plugins.samplers.base import MakeField, Sampler, SamplerConfig, Sampling
from nerf_plugins.samplers.sections import sdf_along, section_weights
from nerf_plugins.samplers.spacing import quantiles
from nerf_plugins.spaces import Space


@dataclass
class UpSamplingSamplerConfig(SamplerConfig):
    """The NeuS paper's sampler."""

    _target: type = field(default_factory=lambda: UpSamplingSampler, kw_only=True)
    """target class to instantiate"""
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


class UpSamplingSampler(Sampler[Surface]):
    """Even samples over the box, then rounds of samples drawn by the opacity they would have were the surface this sharp.

    Source: Wang et al., NeuS, 2021, supplementary B.3.
    """

    def __init__(self, config: UpSamplingSamplerConfig, space: Space, make_field: MakeField) -> None:
        super().__init__(config, space, make_field)
        self.config = config

    @torch.no_grad()
    def sample(self, rays: Rays, scene: Surface, stratified: bool) -> Sampling:
        """Sections of each ray, at whose middles the field is to be evaluated. The rounds have their own sharpness, not the scene's.

        Args:
            rays: rays of the space.
            scene: the surface.
            stratified: move the even samples of each ray by a random share of their spacing (training).
        """
        c = self.config
        nears, fars = self.space.clip(rays)
        t = torch.linspace(0.0, 1.0, c.n_samples, device=nears.device) * (fars - nears)[:, None] + nears[:, None]
        if stratified:
            t = t + (torch.rand_like(nears) - 0.5)[:, None] * ((fars - nears) / c.n_samples)[:, None]
        sdf = sdf_along(self.space, rays, t, scene)
        new = [c.n_importance // c.up_sample_steps] * c.up_sample_steps
        new[-1] += c.n_importance % c.up_sample_steps
        for i, n_new in enumerate(new):
            t_new = self._draw(t, sdf, nears.new_full((), c.first_inv_s * 2.0**i), n_new)
            last = i + 1 == len(new)
            sdf_new = torch.zeros_like(t_new) if last else sdf_along(self.space, rays, t_new, scene)
            t, order = torch.cat([t, t_new], dim=-1).sort(dim=-1)
            sdf = torch.cat([sdf, sdf_new], dim=-1).gather(-1, order)
        # The paper's last section has the length of an even step.
        t_ends = torch.cat([t[:, 1:], t[:, -1:] + ((fars - nears) / c.n_samples)[:, None]], dim=-1)
        samples = pack_sections(t, t_ends, t_ends > t, capacity=t.numel() if stratified and t.is_cuda else None)
        return Sampling(samples, n_looked_at=torch.full_like(nears, t.shape[1] - new[-1]))

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
        u = quantiles(len(t), n_new, t.device, stratified=False)
        return sample_pdf(samples.t_starts, samples.t_ends, section_weights(samples, depths), samples.packed_info, u)
