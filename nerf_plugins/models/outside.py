"""What lies outside the scene box: a radiance field in contracted space, as NeRF++ has it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Parameter

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import Parts, RadianceField, RadianceFieldConfig, join_groups
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.ops import blend_background
from nerf_plugins.rays import GAUSSIANS, Needs, Rays
from nerf_plugins.rendering import render_samples
from nerf_plugins.samplers.base import Sampler, SamplerConfig
from nerf_plugins.samplers.even import EvenSamplerConfig
from nerf_plugins.samplers.proposal import ProposalSamplerConfig
from nerf_plugins.spaces import ContractedSpace, CubeSpace


@dataclass
class OutsideConfig:
    """What is outside the scene box."""

    n_samples: int = 0
    """Samples of each ray outside the box (the paper's n_outside, 32 for scenes without masks). 0: nothing is outside."""
    sampler: Literal["even", "proposal"] = "even"
    """even: evenly in disparity, the paper's. proposal: where a small network proposes."""
    proposal: ProposalSamplerConfig = field(default_factory=ProposalSamplerConfig)
    """The sampler that proposes; of samples it has the number above."""
    field: RadianceFieldConfig = field(default_factory=NeRFMLPConfig)
    """Its network."""

    def __post_init__(self) -> None:
        if self.n_samples < 0:
            raise InputError(f"outside: n_samples must be >= 0, got {self.n_samples}")

    @property
    def sampler_config(self) -> SamplerConfig:
        """The options of the sampler that ``sampler`` names."""
        if self.sampler == "even":
            return EvenSamplerConfig(n_samples=self.n_samples)
        return replace(self.proposal, n_samples=self.n_samples)


class Behind(NamedTuple):
    """What rays see behind the scene box."""

    rgb: Float[Tensor, "n_rays 3"]
    """Over the background."""
    losses: dict[str, Tensor]
    """The field's and the sampler's own, in training; already weighted."""


class OutsideScene(nn.Module):
    """Renders rays behind the scene box; samples lie behind all those inside, so the two renders just blend.

    Source: Zhang et al., NeRF++, 2020, with the contraction of Mip-NeRF 360 in place of the inverted sphere.

    Args:
        config: its options.
        aabb: (min, max) corner of the scene box, (2, 3).
    """

    def __init__(self, config: OutsideConfig, aabb: Float[Tensor, "2 3"]) -> None:
        super().__init__()
        self.config = config
        self.field: RadianceField = config.field.setup()
        if unknown := self.field.needs - GAUSSIANS:
            raise InputError(f"outside: a field that needs {', '.join(sorted(unknown))} cannot be used here")
        half = 0.5 * (aabb[1] - aabb[0])
        self.space = ContractedSpace(torch.stack([-half, half]) / half.max())
        self.sampler: Sampler[RadianceField] = config.sampler_config.setup(
            space=self.space, make_field=config.field.setup
        )

    @property
    def needs(self) -> Needs:
        """What its fields ask of rays and points."""
        return self.field.needs | self.sampler.needs

    def param_groups(self) -> dict[str, list[Parameter]]:
        """Its parameters by optimiser."""
        return join_groups(self.field.param_groups(), self.sampler.param_groups())

    def parts(self) -> Parts:
        """Its parameters by what ``--freeze`` calls them."""
        return join_groups(self.field.parts(), self.sampler.parts())

    def set_progress(self, progress: float) -> None:
        """Tells the fields how far training is, in [0, 1]."""
        self.field.set_progress(progress)
        self.sampler.set_progress(progress)

    def before_step(self, step: int) -> None:
        """To be called before each training step."""
        self.sampler.before_step(step, self.field)

    def forward(self, cube: CubeSpace, rays: Rays, background: Float[Tensor, "n_rays 3"], stratified: bool) -> Behind:
        """What the rays see behind the box.

        Args:
            cube: the space of the rays.
            rays: the rays.
            background: what is behind everything.
            stratified: jitter the samples (training).
        """
        nears, exits = cube.clip(rays)
        hits = exits > nears
        begin = torch.where(hits, exits, rays.nears)
        behind = rays._replace(nears=begin, fars=rays.fars.maximum(begin))
        sampling = self.sampler.sample(behind, self.field, stratified)
        seen, points = render_samples(self.field, self.space, behind, sampling.samples)
        losses = {}
        if stratified:
            losses = self.field.losses(points, seen.weights) | self.sampler.losses(sampling, seen)
        return Behind(blend_background(seen.rgb, seen.accumulation, background), losses)
