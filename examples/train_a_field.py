#!/usr/bin/env python3
"""Trains a radiance field on views of the demo scene in a plain PyTorch loop, without nerfstudio's trainer, data managers and commands.

    python examples/train_a_field.py --output-path demo.png

What a step is: the sampler says where rays are evaluated, the field what is there, ``render_samples`` what the rays see.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image
from torch import Tensor

from nerf_plugins.engine.memory import keep_freed_memory
from nerf_plugins.fields.base import RadianceField
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.ops import blend_background
from nerf_plugins.rays import Rays
from nerf_plugins.rendering import render_samples, render_samples_in_rounds
from nerf_plugins.samplers.base import Sampler
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.ray_budget import RayBudgetConfig
from nerf_plugins.scenes import Camera, camera_rays, demo_scene, render
from nerf_plugins.scenes.cameras import dome
from nerf_plugins.spaces import BoxSpace, Space

AABB = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
"""The box that the scene is in."""
TARGET, RADIUS, ELEVATION = np.array([0.0, 0.0, -0.1]), 3.3, (2.0, 80.0)
"""Where the cameras look, how far away they are, and their lowest and highest elevation in degrees."""


def camera(place: float, n_views: int, side: int) -> Camera:
    """One on the dome around the scene: a training view at a whole number, a new one in between."""
    (pose,) = dome(np.array([place]), n_views, TARGET, RADIUS, ELEVATION)
    return Camera.centred(pose, focal=1.4 * side, width=side, height=side)


def pixels_of(camera: Camera) -> tuple[Tensor, Tensor]:
    """Origins and unit directions of the rays through all pixels, row by row."""
    origins, directions = camera_rays(camera)
    return torch.tensor(origins, dtype=torch.float32), torch.tensor(directions, dtype=torch.float32)


def rays_of(origins: Tensor, directions: Tensor) -> Rays:
    """Rays in world space, where ``t`` is the distance from the camera."""
    zeros, ones = torch.zeros_like(origins[:, 0]), torch.ones_like(origins[:, 0])
    return Rays(origins, directions, zeros, 10.0 * ones, directions, distance_scale=ones, distance_start=zeros)


def picture_of(camera: Camera) -> Tensor:
    """What a camera sees of the scene, in the order of its rays: RGBA, not premultiplied."""
    return torch.tensor(render(demo_scene(), camera, supersample=2), dtype=torch.float32).view(-1, 4)


def over(rgba: Tensor, background: Tensor) -> Tensor:
    """A picture before a background."""
    return rgba[:, :3] * rgba[:, 3:] + background * (1.0 - rgba[:, 3:])


def train(
    field: RadianceField, sampler: Sampler, space: Space, pixels: tuple[Tensor, Tensor], targets: Tensor, steps: int
) -> None:
    """Makes the field see ``targets`` through ``pixels``."""
    optimizer = torch.optim.Adam(field.parameters(), lr=1e-2, eps=1e-15, fused=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.1 ** (1.0 / steps))
    n_rays, began = 512, time.perf_counter()
    for step in range(steps):
        sampler.before_step(step, field)  # the occupancy grid looks at some of its cells
        n_rays = sampler.num_rays(n_rays)  # as many as make up the budget of samples
        index = torch.randint(len(targets), (n_rays,), device=targets.device)
        rays, background = rays_of(*(values[index] for values in pixels)), torch.rand(n_rays, 3, device=targets.device)
        sampling = sampler.sample(rays, field, stratified=True)
        seen, points = render_samples(field, space, rays, sampling.samples)
        # Before random colours: what is transparent has to be learnt as transparent.
        error = blend_background(seen.rgb, seen.accumulation, background) - over(targets[index], background)
        losses = {"rgb": error.square().mean()} | sampler.losses(sampling, seen) | field.losses(points, seen.weights)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % max(steps // 5, 1) == 0:
            print(f"step {step + 1}: error {losses['rgb'].item():.5f}, {time.perf_counter() - began:.1f} s")


@torch.no_grad()
def picture_from(field: RadianceField, sampler: Sampler, space: Space, camera: Camera, background: Tensor) -> Tensor:
    """What the field shows to a camera, in the order of its rays."""
    rays = rays_of(*(values.to(background.device) for values in pixels_of(camera)))
    samples = sampler.sample(rays, field, stratified=False).samples
    seen = render_samples_in_rounds(field, space, rays, samples, early_stop_eps=1e-4)
    return blend_background(seen.rgb, seen.accumulation, background)


def main(output_path: Path = Path("demo.png"), steps: int = 500, side: int = 64, n_views: int = 24) -> None:
    """Trains, and compares a view that was not trained on with the truth.

    Args:
        output_path: PNG file to write, the truth and the render; never over another one.
        steps: of the training.
        side: width and height of the pictures in pixels.
        n_views: training views.
    """
    if output_path.exists():
        sys.exit(f"error: {output_path} exists and is not overwritten")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    keep_freed_memory()  # on a CPU, mapping it anew would cost more than the arithmetic
    views = [camera(float(k), n_views, side) for k in range(n_views)]
    origins, directions = (torch.cat(parts).to(device) for parts in zip(*map(pixels_of, views)))
    targets = torch.cat([picture_of(view) for view in views]).to(device)

    space = BoxSpace(AABB).to(device)
    config = NeRFHashConfig(encoding=HashEncodingConfig(n_levels=8, max_resolution=256, log2_table_size=15))
    field: RadianceField = config.setup().to(device)
    options = OccupancySamplerConfig(
        grid=OccupancyGridConfig(resolution=48, warmup_steps=64),
        budget=RayBudgetConfig(samples_per_batch=1 << 13),
        steps_per_diagonal=200,
    )
    sampler: Sampler = options.setup(space=space, make_field=config.setup).to(device)
    train(field, sampler, space, (origins, directions), targets, steps)

    held_out, white = camera(0.4 * n_views + 0.5, n_views, side), torch.ones(3)
    rendered = picture_from(field, sampler, space, held_out, white.to(device)).cpu()
    truth = over(picture_of(held_out), white)
    print(f"PSNR of a new view: {-10.0 * (rendered - truth).square().mean().log10().item():.2f} dB")
    both = torch.cat([truth.view(side, side, 3), rendered.view(side, side, 3)], dim=1)
    with output_path.open("xb") as file:
        Image.fromarray((both.clamp(0.0, 1.0) * 255.0).round().byte().numpy()).save(file, "PNG")
    print(output_path)


if __name__ == "__main__":
    tyro.cli(main)
