"""Rays and images that the models' tests share."""

import torch
from nerfstudio.cameras.rays import RayBundle


def make_bundle(n: int = 16, distance: float = 3.0) -> RayBundle:
    generator = torch.Generator().manual_seed(0)
    origins = torch.tensor([[0.0, 0.0, distance]]).repeat(n, 1)
    targets = torch.rand(n, 3, generator=generator) - 0.5
    directions = torch.nn.functional.normalize(targets - origins, dim=-1)
    return RayBundle(
        origins=origins,
        directions=directions,
        pixel_area=torch.ones(n, 1),
        camera_indices=torch.zeros(n, 1, dtype=torch.long),
    )


def rgba_batch(n: int = 16) -> dict[str, torch.Tensor]:
    return {"image": torch.rand(n, 4, generator=torch.Generator().manual_seed(1))}
