"""Rays of pixels. For perspective cameras nothing waits for the device, so a step's batch is prepared while the last one still runs."""

from __future__ import annotations

import torch
from jaxtyping import Int, Shaped
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.model_components.ray_generators import RayGenerator
from torch import Tensor

from nerf_plugins.ops import PixelRays, lens_rays, pinhole_rays


def make_ray_generator(cameras: Cameras) -> RayGenerator:
    """Ours for perspective cameras, with a lens that bends or without, nerfstudio's for all others.

    Args:
        cameras: those of a dataset, on the device that rays are wanted on.
    """
    if not are_perspective(cameras):
        return RayGenerator(cameras)
    bends = cameras.distortion_params is not None and bool(cameras.distortion_params.any())
    return LensRayGenerator(cameras) if bends else PinholeRayGenerator(cameras)


def view_rays(camera: Cameras) -> RayBundle:
    """The rays of all pixels (height, width) of a picture.

    Args:
        camera: one, in a list.
    """
    if not are_perspective(camera):
        return camera.generate_rays(camera_indices=0, keep_shape=True)
    height, width = int(camera.height[0]), int(camera.width[0])
    rows, columns = (torch.arange(n, device=camera.device) for n in (height, width))
    pixels = torch.cartesian_prod(torch.zeros_like(rows[:1]), rows, columns)
    return make_ray_generator(camera)(pixels).reshape((height, width))


def are_perspective(cameras: Cameras) -> bool:
    """Whether these are perspective cameras without metadata, in a list."""
    is_perspective = bool((cameras.camera_type == CameraType.PERSPECTIVE.value).all())
    return len(cameras.shape) == 1 and is_perspective and not cameras.metadata


def upload(values: Shaped[Tensor, "..."], device: torch.device) -> Shaped[Tensor, "..."]:
    """Values that are on the CPU or on the device already, on the device, without waiting for its queue."""
    if device.type == "cuda" and not values.is_cuda:
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


class PinholeRayGenerator(RayGenerator):
    r"""nerfstudio's rays of pinhole cameras, with what depends on the camera alone computed once.

    A pixel's ray points along :math:`d(x, y) = x a + y b + c` with :math:`a = R_0 / f_x`, :math:`b = -R_1 / f_y` and
    :math:`c = -R_2 - c_x a - c_y b`, where the columns :math:`R_i` of the camera's rotation are its axes (right, up, back) and pixel
    (row i, column j) has its centre at :math:`(x, y) = (j + 0.5, i + 0.5)`.

    Args:
        cameras: for which :func:`are_perspective` holds; their distortion is left out.
    """

    table: Tensor
    """(n_cameras, 4, 3): a, b, c and the centre of projection."""
    times: Tensor | None
    """(n_cameras, 1), where the cameras have times."""

    def __init__(self, cameras: Cameras) -> None:
        super().__init__(cameras)
        poses = cameras.camera_to_worlds.double()
        right, up, back, centre = poses.unbind(-1)
        a, b = right / cameras.fx.double(), -up / cameras.fy.double()
        c = -back - cameras.cx.double() * a - cameras.cy.double() * b
        self.register_buffer("table", torch.stack([a, b, c, centre], dim=1).float(), persistent=False)
        times = None if cameras.times is None else cameras.times.reshape(-1, 1).float()
        self.register_buffer("times", times, persistent=False)

    def forward(self, ray_indices: Int[Tensor, "n_rays 3"]) -> RayBundle:
        """The rays of pixels (camera, row, column).

        Returns:
            Unit ``directions``, ``origins``, ``pixel_area`` (n_rays, 1): the product of the distances to the directions one pixel to the
            right and one down; ``camera_indices`` (n_rays, 1); ``times`` (n_rays, 1) where the cameras have
            some; ``metadata["directions_norm"]`` (n_rays, 1): the length of d.
        """
        ray_indices = upload(ray_indices, self.table.device)
        rays = self._rays(ray_indices)
        return RayBundle(
            origins=rays.origins,
            directions=rays.directions,
            pixel_area=rays.areas[:, None],
            camera_indices=ray_indices[:, :1],
            times=None if self.times is None else self.times.index_select(0, ray_indices[:, 0]),
            metadata={"directions_norm": rays.norms[:, None]},
        )

    def _rays(self, pixels: Tensor) -> PixelRays:
        return pinhole_rays(pixels, self.table)


class LensRayGenerator(PinholeRayGenerator):
    """nerfstudio's rays of perspective cameras with distortion: one launch, where its ten steps of Newton's are some 800, and none of its
    questions whether there is any.

    Args:
        cameras: for which :func:`are_perspective` holds, with distortion parameters k1, k2, k3, k4, p1, p2.
    """

    lenses: Tensor
    """(n_cameras, 10): fx, fy, cx, cy and the distortion parameters."""

    def __init__(self, cameras: Cameras) -> None:
        super().__init__(cameras)
        lenses = [cameras.fx, cameras.fy, cameras.cx, cameras.cy, cameras.distortion_params]
        self.register_buffer("lenses", torch.cat(lenses, dim=-1).float(), persistent=False)

    def _rays(self, pixels: Tensor) -> PixelRays:
        return lens_rays(pixels, self.table, self.lenses)
