"""What every space offers: rays in it, and the points of rays as a field sees them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from nerfstudio.cameras.rays import RayBundle
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.ops import ConeMoments, ConePoints, cone_moments
from nerf_plugins.rays import GAUSSIANS, NOTHING, Needs, Points, Rays
from nerf_plugins.spaces.gaussians import axes, cylinder_moments


class Space(nn.Module, ABC):
    """Where rays are marched, and what coordinates a field sees.

    Args:
        aabb: (min, max) corner of the part of the space that the finest grid covers, (2, 3), in the space's own units.
    """

    aabb: Tensor
    zero: Tensor
    one: Tensor
    spacing: ClassVar[Literal["uniform", "disparity"]] = "uniform"
    """How samples without a grid are spread over [near, far]."""
    unbounded: ClassVar[bool] = False
    """Whether something can be outside of ``aabb``."""
    has_world_units: ClassVar[bool] = True
    """Whether a length in it is one in the scene, but for a factor; a mesh can be made then."""
    ray_shape: ClassVar[Literal["cone", "cylinder"]] = "cone"
    """What a pixel's ray is in it: a cone from the camera, or a cylinder."""

    def __init__(self, aabb: Float[Tensor, "2 3"]) -> None:
        super().__init__()
        self.register_buffer("aabb", aabb.float().contiguous())
        # Spread over rays without a launch.
        self.register_buffer("zero", torch.zeros(()), persistent=False)
        self.register_buffer("one", torch.ones(()), persistent=False)

    @classmethod
    def of_dataset(cls, aabb: Float[Tensor, "2 3"], metadata: dict[str, Any]) -> Space:
        """The space for a dataset.

        Args:
            aabb: the scene box.
            metadata: of the training dataset.

        Raises:
            InputError: the dataset lacks what the space needs.
        """
        return cls(aabb)

    @abstractmethod
    def rays(self, ray_bundle: RayBundle, near_plane: float, far_plane: float) -> Rays:
        """The bundle's rays in this space, from near to far plane (world distances), without what a field may need besides."""

    @abstractmethod
    def field_positions(self, positions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Positions of this space -> [-1, 1]^3 for the field."""

    @abstractmethod
    def clip(self, rays: Rays) -> tuple[Float[Tensor, "n_rays"], Float[Tensor, "n_rays"]]:
        """Near and far of the part of each ray that can hold something; near = far where nothing can."""

    @abstractmethod
    def distances(self, rays: Rays, t: Float[Tensor, "n_rays"]) -> Float[Tensor, "n_rays"]:
        """``t`` -> world distance from the camera."""

    @property
    def world_length(self) -> Float[Tensor, ""]:
        """Of a ``t`` of 1 in the world, where the space has world units."""
        return self.one

    @abstractmethod
    def push_forward(self, positions: Float[Tensor, "n 3"], vectors: Float[Tensor, "n k 3"]) -> Float[Tensor, "n k 3"]:
        """``J v`` with the Jacobian J of :meth:`field_positions` at the positions: what small vectors become in the field's space."""

    @abstractmethod
    def field_scale(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        r""":math:`|\det J|^{1/3}`: how much longer lengths are in the field's space, as the mean over directions."""

    def pixel_radii(self, ray_bundle: RayBundle, rays: Rays) -> Float[Tensor, "n_rays"]:
        r"""Radius of each pixel's cone at t = 1: :math:`\sqrt{A / 3}`, of the disc with the variance of a pixel of the area A.

        Source: Barron et al., Mip-NeRF, 2021, section 3.1 (:math:`2 / \sqrt{12}` of the pixel's width).
        """
        if ray_bundle.pixel_area is None:
            raise InputError("the field needs the cones of pixels, but these rays were made without pixel_area")
        return (ray_bundle.pixel_area.reshape(-1) / 3.0).sqrt()

    def complete(self, rays: Rays, ray_bundle: RayBundle, needs: Needs) -> Rays:
        """The rays with what a field needs of them besides.

        Args:
            rays: of :meth:`rays`.
            ray_bundle: what they were made of.
            needs: of the field.

        Raises:
            InputError: it needs times and the rays have none.
        """
        if needs & GAUSSIANS:
            rays = rays._replace(radii=self.pixel_radii(ray_bundle, rays))
        if "times" in needs:
            if ray_bundle.times is None:
                raise InputError(
                    "the field needs the time of each view, and these rays have none: give the cameras some, as camera-path --time does"
                )
            rays = rays._replace(times=ray_bundle.times.reshape(-1))
        if "camera_indices" in needs and ray_bundle.camera_indices is not None:
            rays = rays._replace(camera_indices=ray_bundle.camera_indices.reshape(-1))
        return rays

    def points(
        self,
        rays: Rays,
        ray_indices: Int[Tensor, "n"],
        t_starts: Float[Tensor, "n"],
        t_ends: Float[Tensor, "n"],
        needs: Needs = NOTHING,
    ) -> Points:
        """Pieces of rays as a field sees them: their middles, or, where it needs the cone, the means of their Gaussians.

        Args:
            rays: the rays.
            ray_indices: which ray each piece belongs to.
            t_starts: where it begins.
            t_ends: where it ends.
            needs: of the field.
        """
        of_rays = {"directions": rays.viewdirs, "times": rays.times, "camera_indices": rays.camera_indices}
        if not needs & GAUSSIANS:
            positions = self.middles_at_once(rays, ray_indices, t_starts, t_ends)
            if positions is None:
                positions = self.field_positions(rays.positions(ray_indices, torch.lerp(t_starts, t_ends, 0.5)))
            return Points(positions, ray_indices, **of_rays)
        assert rays.radii is not None, "the space completes the rays for a field that needs cones"
        if "covariances" not in needs and (seen := self.cones_at_once(rays, ray_indices, t_starts, t_ends)) is not None:
            return Points(seen.positions, ray_indices, **of_rays, scales=seen.scales)
        spread_of = cone_moments if self.ray_shape == "cone" else cylinder_moments
        spread = spread_of(t_starts, t_ends, rays.radii, ray_indices)
        means = rays.positions(ray_indices, spread.t_means)
        scales = spread.scales * self.field_scale(means) if "scales" in needs else None
        covariances = self._covariances(means, spread, rays, ray_indices) if "covariances" in needs else None
        return Points(self.field_positions(means), ray_indices, **of_rays, scales=scales, covariances=covariances)

    def middles_at_once(
        self, rays: Rays, ray_indices: Int[Tensor, "n"], t_starts: Float[Tensor, "n"], t_ends: Float[Tensor, "n"]
    ) -> Float[Tensor, "n 3"] | None:
        """Middles of pieces of rays in the field's space, of rays that learn nothing; None where the space cannot say them in one pass, and
        then they come from its :meth:`field_positions`.
        """
        return None

    def cones_at_once(
        self, rays: Rays, ray_indices: Int[Tensor, "n"], t_starts: Float[Tensor, "n"], t_ends: Float[Tensor, "n"]
    ) -> ConePoints | None:
        """Means and sizes of pieces of cones in the field's space, of rays that learn nothing; None where the space cannot say them in one
        pass, and then they come from its :meth:`field_positions` and :meth:`field_scale`.
        """
        return None

    def _covariances(self, means: Tensor, spread: ConeMoments, rays: Rays, ray_indices: Tensor) -> Tensor:
        vectors = self.push_forward(means, axes(spread, rays.directions.index_select(0, ray_indices)))
        return vectors.transpose(-1, -2) @ vectors

    def points_at(
        self,
        positions: Float[Tensor, "n 3"],
        needs: Needs = NOTHING,
        *,
        directions: Float[Tensor, "n 3"] | None = None,
        times: Float[Tensor, "n"] | None = None,
        scale: float | Float[Tensor, "n"] = 0.0,
    ) -> Points:
        """Positions that are on no ray, as a field sees them; of no photo.

        Args:
            positions: in this space.
            needs: of the field.
            directions: unit directions in the world in which they are seen, if they are.
            times: of each, if the field needs it.
            scale: standard deviation of the Gaussian around each, in this space's units.
        """
        points = Points(self.field_positions(positions), directions=directions, times=times)
        if not needs & GAUSSIANS:
            return points
        n = len(positions)
        scales = scale.expand(n) if isinstance(scale, Tensor) else positions.new_full((n,), scale)
        if "scales" in needs:
            points = points._replace(scales=scales * self.field_scale(positions))
        if "covariances" in needs:
            unit = torch.eye(3, device=positions.device, dtype=positions.dtype)
            vectors = self.push_forward(positions, scales[:, None, None] * unit)
            points = points._replace(covariances=vectors.transpose(-1, -2) @ vectors)
        return points
