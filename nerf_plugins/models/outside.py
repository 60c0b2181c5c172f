"""What lies outside the scene box: a radiance field in contracted space, as NeRF++ has it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.fields.radiance import RadianceFieldConfig
from nerf_plugins.models.render import evaluate_field
from nerf_plugins.ops import blend_background, composite, pack_sections
from nerf_plugins.spaces import ContractedSpace, CubeSpace, Rays


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
        self.field = config.field.setup()
        half = 0.5 * (aabb[1] - aabb[0])
        self.space = ContractedSpace(torch.stack([-half, half]) / half.max())

    def forward(
        self, cube: CubeSpace, rays: Rays, background: Float[Tensor, "n_rays 3"], stratified: bool
    ) -> Float[Tensor, "n_rays 3"]:
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
        n = self.config.n_samples
        s = torch.linspace(0.0, 1.0, n + 1, device=begin.device).expand(len(begin), -1)
        if stratified:
            s = (s + (torch.rand_like(s) - 0.5) / n).clamp(0.0, 1.0)
        near_inverse, far_inverse = 1.0 / (1.0 + begin), 1.0 / (1.0 + rays.fars.maximum(begin))
        t = 1.0 / torch.lerp(near_inverse[:, None], far_inverse[:, None], s) - 1.0  # exact at both ends, however far
        everything = torch.ones_like(t[:, 1:], dtype=torch.bool)
        samples = pack_sections(t[:, :-1], t[:, 1:], everything, capacity=everything.numel())
        sigmas, rgbs = evaluate_field(self.field, self.space, rays, samples)
        seen = composite(sigmas, rgbs, samples.t_starts, samples.t_ends, samples.packed_info)
        return blend_background(seen.rgb, seen.accumulation, background)
