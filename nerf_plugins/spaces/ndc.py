"""Normalised device coordinates: forward-facing scenes."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from nerfstudio.cameras.rays import RayBundle
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.rays import Rays
from nerf_plugins.spaces.box import BoxSpace


class NDCSpace(BoxSpace):
    r"""Normalised device coordinates of a camera at the origin that looks along -z.

    With :math:`o` moved along the ray to the plane z = -n: :math:`o' = (-f_x o_x/o_z, -f_y o_y/o_z, 1 + 2n/o_z)` and
    :math:`d' = (-f_x(d_x/d_z - o_x/o_z), -f_y(d_y/d_z - o_y/o_z), -2n/o_z)`, where :math:`f_x, f_y` are focal lengths in units of half
    the image size and now :math:`o_z = -n`. Rays that do not look along -z see nothing.

    Source: Mildenhall et al., NeRF, 2020, appendix C.

    Args:
        aabb: the part of device space that the cameras see, (2, 3); z in [-1, 1], x and y a little beyond.
        focal_x: focal length / half the image's width.
        focal_y: focal length / half the image's height.
        near: n, in world units.

    Example:
        Straight ahead a ray begins at the near plane, and half of its way in device coordinates brings it to twice that distance.

        >>> space = NDCSpace(torch.tensor([[-1.0] * 3, [1.0] * 3]), focal_x=1.0, focal_y=1.0, near=1.0)
        >>> ahead = RayBundle(torch.zeros(1, 3), torch.tensor([[0.0, 0.0, -1.0]]), pixel_area=torch.ones(1, 1))
        >>> rays = space.rays(ahead, near_plane=0.0, far_plane=1e3)
        >>> [space.distances(rays, share * rays.fars).item() for share in (0.0, 0.5)]
        [1.0, 2.0]
    """

    has_world_units = False
    ray_shape = "cylinder"

    def __init__(self, aabb: Float[Tensor, "2 3"], focal_x: float, focal_y: float, near: float) -> None:
        super().__init__(aabb)
        self.focal_x, self.focal_y, self.near = focal_x, focal_y, near

    @classmethod
    def of_dataset(cls, aabb: Float[Tensor, "2 3"], metadata: dict[str, Any]) -> NDCSpace:
        """The device coordinates that the dataparser describes in ``metadata["ndc"]``: ``focal_x``, ``focal_y`` and ``near``."""
        if "ndc" not in metadata:
            raise InputError(
                "model: space 'ndc' needs a forward-facing dataset of llff-data: use box, contracted or auto"
            )
        ndc = metadata["ndc"]
        return cls(aabb, ndc["focal_x"], ndc["focal_y"], ndc["near"])

    def rays(self, ray_bundle: RayBundle, near_plane: float, far_plane: float) -> Rays:
        """The bundle's rays in device coordinates; the planes do not apply, a crop's near and far do."""
        origins, directions = ray_bundle.origins, ray_bundle.directions
        looks_ahead = directions[:, 2] < -1e-6
        dz = torch.where(looks_ahead, directions[:, 2], torch.full_like(directions[:, 2], -1.0))
        t_near = -(self.near + origins[:, 2]) / dz
        x, y = (origins[:, :2] + t_near[:, None] * directions[:, :2]).unbind(-1)  # on the plane z = -n
        n, fx, fy = self.near, self.focal_x, self.focal_y
        o_ndc = torch.stack([fx * x / n, fy * y / n, torch.full_like(x, -1.0)], dim=-1)
        slope_x, slope_y = directions[:, 0] / dz + x / n, directions[:, 1] / dz + y / n
        d_ndc = torch.stack([-fx * slope_x, -fy * slope_y, torch.full_like(x, 2.0)], dim=-1)
        length = d_ndc.norm(dim=-1)
        nears, fars = self._device_bounds(ray_bundle, t_near, dz, length)
        fars = torch.where(looks_ahead, fars, nears)
        return Rays(o_ndc, d_ndc / length[:, None], nears, fars, directions, length, t_near)

    def pixel_radii(self, ray_bundle: RayBundle, rays: Rays) -> Float[Tensor, "n_rays"]:
        """Radius of each pixel's cylinder: that of its cone on the plane z = -n, in device units, as the mean of x and y.

        In device coordinates the rays of one camera hardly diverge. Source: Barron et al., Mip-NeRF, 2021, their code for LLFF.
        """
        on_plane = super().pixel_radii(ray_bundle, rays) * rays.distance_start.clamp(min=0.0)
        return on_plane * (0.5 * (self.focal_x + self.focal_y) / self.near)

    def _device_bounds(
        self, ray_bundle: RayBundle, t_near: Tensor, dz: Tensor, length: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A crop's near and far (world distances) in device units: t' = 1 - n / (n - (t - t_near) d_z)."""

        def to_device(distances: Tensor) -> Tensor:
            ahead = (distances - t_near).clamp(min=0.0)
            return length * (1.0 - self.near / (self.near - ahead * dz))

        nears = torch.zeros_like(length) if ray_bundle.nears is None else to_device(ray_bundle.nears.reshape(-1))
        fars = length if ray_bundle.fars is None else to_device(ray_bundle.fars.reshape(-1))
        return nears, fars

    def distances(self, rays: Rays, t: Float[Tensor, "n_rays"]) -> Float[Tensor, "n_rays"]:
        r"""World distance from the camera: to the plane z = -n and :math:`n t' / ((1 - t')(-d_z))` from it, with :math:`t' = t/|d'|`,
        at most :math:`10^4 n`.
        """
        share = (t / rays.distance_scale).clamp(0.0, 1.0 - 1e-4)
        return rays.distance_start + self.near * share / ((1.0 - share) * (-rays.viewdirs[:, 2]).clamp(min=1e-6))
