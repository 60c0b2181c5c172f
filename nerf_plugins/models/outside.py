"""What lies outside the scene box: a radiance field in contracted space, as NeRF++ has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import RadianceField, RadianceFieldConfig
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.ops import blend_background
from nerf_plugins.rays import NOTHING, Rays
from nerf_plugins.rendering import render_samples
from nerf_plugins.samplers.spacing import even_edges, pack_edges, spread_in_disparity
from nerf_plugins.spaces import ContractedSpace, CubeSpace


@dataclass
class OutsideConfig:
    """What is outside the scene box."""

    n_samples: int = 0
    """Samples of each ray outside the box (the paper's n_outside, 32 for scenes without masks). 0: nothing is outside."""
    field: RadianceFieldConfig = field(default_factory=NeRFMLPConfig)
    """Its network."""

    def __post_init__(self) -> None:
        if self.n_samples < 0:
            raise InputError(f"outside: n_samples must be >= 0, got {self.n_samples}")


class Behind(NamedTuple):
    """What rays see behind the scene box."""

    rgb: Float[Tensor, "n_rays 3"]
    """Over the background."""
    losses: dict[str, Tensor]
    """The field's own, in training; already weighted."""


class OutsideScene(nn.Module):
    """Renders rays behind the scene box; samples are even in disparity and lie behind all those inside, so the two renders just blend.

    Source: Zhang et al., NeRF++, 2020, with the contraction of Mip-NeRF 360 in place of the inverted sphere.

    Args:
        config: its options.
        aabb: (min, max) corner of the scene box, (2, 3).
    """

    def __init__(self, config: OutsideConfig, aabb: Float[Tensor, "2 3"]) -> None:
        super().__init__()
        self.config = config
        self.field: RadianceField = config.field.setup()
        if self.field.needs != NOTHING:
            raise InputError(f"outside: a field that needs {', '.join(sorted(self.field.needs))} cannot be used here")
        half = 0.5 * (aabb[1] - aabb[0])
        self.space = ContractedSpace(torch.stack([-half, half]) / half.max())

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
        edges = even_edges(len(begin), self.config.n_samples, begin.device, stratified, ends=True)
        t = spread_in_disparity(edges, begin, rays.fars.maximum(begin))
        seen, points = render_samples(self.field, self.space, rays, pack_edges(t))
        losses = self.field.losses(points, seen.weights) if stratified else {}
        return Behind(blend_background(seen.rgb, seen.accumulation, background), losses)
