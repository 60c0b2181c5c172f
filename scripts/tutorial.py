#!/usr/bin/env python3
"""Makes the pictures of docs/tutorial.md: one function for each lesson, and the code that the lessons show.

python scripts/tutorial.py --output-dir tutorial
"""

from __future__ import annotations

import io
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import matplotlib
import numpy as np
import torch
import tyro
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from nerf_plugins.engine.memory import keep_freed_memory
from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHash, NeRFHashConfig
from nerf_plugins.image_fitting.command import growing_steps
from nerf_plugins.image_fitting.field import picture_hash, picture_mlp
from nerf_plugins.image_fitting.fitting import Fit, fit_picture
from nerf_plugins.image_fitting.options import PictureHashOptions, PictureMLPOptions
from nerf_plugins.image_fitting.pictures import demo_picture
from nerf_plugins.models.metrics import psnr
from nerf_plugins.ops import Composited, PackedSamples, blend_background, composite, march_grid, sample_pdf
from nerf_plugins.rays import Points
from nerf_plugins.samplers.occupancy_grid import OccupancyGrid, OccupancyGridConfig
from nerf_plugins.samplers.spacing import pack_edges
from nerf_plugins.scenes import Camera, camera_rays, demo_scene, depth, render
from nerf_plugins.scenes.cameras import dome, look_at

Lesson = Literal["fit", "rays", "sampling", "compositing", "training"]
AABB = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
"""The box that the scene is in."""
TARGET = np.array([0.0, 0.0, -0.1])
"""What the cameras look at."""
FOCAL = 1.4
"""Focal length in units of the picture's side."""
RED, BLUE, GREEN, GREY = "#d1495b", "#00798c", "#4f8a3c", "#9a9a9a"


@dataclass
class Options:
    """Pictures for docs/tutorial.md."""

    output_dir: Path
    """Where to put them; made if it is not there. Pictures of the same name are replaced."""
    lessons: tuple[Lesson, ...] = get_args(Lesson)
    """Which lessons."""
    side: int = 100
    """Width and height of the pictures that are rendered, in pixels."""
    fit_steps: int = 500
    """Training steps of lesson 1."""
    train_steps: int = 1000
    """Training steps of lesson 5."""
    n_views: int = 40
    """Views that lesson 5 learns from."""
    seed: int = 0
    """Of everything random."""


# Lesson 1: a field


def lesson_fit(options: Options) -> None:
    """One picture, learnt by fields that differ in their encoding."""
    target = demo_picture(options.side)
    fits = fit_fields(target, options.fit_steps)
    n = len(next(iter(fits.values())).snapshots)
    figure, axes = plt.subplots(len(fits), n + 1, figsize=(1.45 * (n + 1), 1.72 * len(fits)), layout="constrained")
    for row, (name, fit) in zip(axes, fits.items()):
        row[0].set_ylabel(name, fontsize=10)
        for ax, snapshot in zip(row, fit.snapshots):
            show_picture(ax, snapshot.picture, f"{snapshot.psnr:.1f} dB")
        show_picture(row[-1], target, "")
    for ax, snapshot in zip(axes[0], next(iter(fits.values())).snapshots):
        ax.set_title(f"step {snapshot.step}", fontsize=10)
    axes[0, -1].set_title("truth", fontsize=10)
    save(figure, options.output_dir / "fit.png")
    for name, fit in fits.items():
        print(f"fit, {name}: {fit.snapshots[-1].psnr:.1f} dB after {fit.snapshots[-1].seconds:.1f} s")


def fit_fields(target: Tensor, steps: int) -> dict[str, Fit]:
    """The same picture with five encodings of (x, y)."""
    fields = {
        "L = 0": picture_mlp(PictureMLPOptions(frequencies=0)),
        "L = 2": picture_mlp(PictureMLPOptions(frequencies=2)),
        "L = 4": picture_mlp(PictureMLPOptions(frequencies=4)),
        "L = 8": picture_mlp(PictureMLPOptions(frequencies=8)),
        "hash": picture_hash(PictureHashOptions(), longer_side=len(target)),
    }
    return {
        name: fit_picture(field, target, steps=steps, snapshot_steps=growing_steps(steps, 5), lr=5e-3)
        for name, field in fields.items()
    }


# Lesson 2: rays


def rays_of(pose: np.ndarray, side: int) -> tuple[Tensor, Tensor]:
    """Origins and unit directions of the rays through all pixels' centres, row by row, each (side * side, 3)."""
    origins, directions = camera_rays(Camera.centred(pose, FOCAL * side, side, side))
    return torch.tensor(origins).float(), torch.tensor(directions).float()


def view_of(pose: np.ndarray, side: int) -> Tensor:
    """What a camera sees of the demo scene: (side, side, 4), the last channel its opacity."""
    return torch.tensor(render(demo_scene(), Camera.centred(pose, FOCAL * side, side, side), supersample=2)).float()


def lesson_rays(options: Options) -> None:
    """Cameras around the scene, and the rays of a few pixels of one of them."""
    scene, n = demo_scene(), 9
    poses = dome(np.array([2.0, 6.0, 8.0]), 20, TARGET, 3.3, (2.0, 80.0))
    view = view_of(poses[0], n)
    origins, directions = (x.numpy() for x in rays_of(poses[0], n))
    figure = plt.figure(figsize=(9.4, 4.4), layout="constrained")
    grid = figure.add_gridspec(1, 3)
    ax: Any = figure.add_subplot(grid[0, :2], projection="3d")
    draw_scene_points(ax, poses, options.side)
    for k, pose in enumerate(poses):
        draw_camera(ax, pose, RED if k == 0 else GREY, view if k == 0 else None)
    chosen = [n * row + column for row in (2, 4, 6) for column in (2, 4, 6)]
    hits = scene.intersect(origins, directions)
    for k in chosen:
        end = origins[k] + min(hits.t[k], 4.6) * directions[k]
        ax.plot(
            *np.stack([origins[k], end]).T, color=RED, linewidth=0.9, linestyle="-" if np.isfinite(hits.t[k]) else ":"
        )
        if np.isfinite(hits.t[k]):
            ax.scatter(*end, color="black", s=9, depthshade=False)
    draw_box(ax)
    ax.set(xlim=(-1.5, 2.0), ylim=(-2.2, 1.3), zlim=(-1.0, 1.9))
    ax.set_box_aspect((3.5, 3.5, 2.9), zoom=1.2)
    ax.view_init(elev=20, azim=-118)
    ax.set_axis_off()
    right = figure.add_subplot(grid[0, 2])
    show_picture(right, over_white(view), f"its picture of {n} x {n} pixels;\nthe rays of nine are drawn")
    right.scatter([k % n for k in chosen], [k // n for k in chosen], color=RED, s=26, edgecolors="white")
    save(figure, options.output_dir / "rays.png")


def draw_scene_points(ax: Any, poses: np.ndarray, side: int) -> None:
    """Points of the surface in their colours, as the cameras see them."""
    scene = demo_scene()
    for pose in poses:
        o, d = (x.double().numpy() for x in rays_of(pose, side))
        hits = scene.intersect(o, d)
        seen = hits.index >= 0
        p = o[seen] + hits.t[seen, None] * d[seen]
        colors = scene.radiance(p, scene.normals(p, hits.index[seen]), d[seen], hits.index[seen])
        ax.scatter(*p.T, c=colors, s=4, linewidths=0, depthshade=False)


def draw_camera(ax: Any, pose: np.ndarray, color: str, view: Tensor | None) -> None:
    """A camera's pyramid; on its base the picture, as far as there is one."""
    reach = 0.75
    half = 0.5 * reach / FOCAL
    edges = np.linspace(-half, half, 2 if view is None else len(view) + 1)
    x, y = np.meshgrid(edges, -edges)
    base = np.stack([x, y, np.full_like(x, -reach)], axis=-1) @ pose[:3, :3].T + pose[:3, 3]
    for corner in (base[0, 0], base[0, -1], base[-1, -1], base[-1, 0]):
        ax.plot(*np.stack([pose[:3, 3], corner]).T, color=color, linewidth=0.9)
    border = np.stack([base[0, 0], base[0, -1], base[-1, -1], base[-1, 0], base[0, 0]])
    ax.plot(*border.T, color=color, linewidth=0.9)
    if view is not None:
        colors = np.concatenate([over_white(view).numpy(), np.full((*view.shape[:2], 1), 0.75)], axis=-1)
        ax.plot_surface(*np.moveaxis(base, -1, 0), facecolors=colors, rstride=1, cstride=1, shade=False, linewidth=0)


def draw_box(ax: Any) -> None:
    """The twelve edges of the scene box."""
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    for a in corners:
        for b in corners:
            if np.abs(a - b).sum() == 2:
                ax.plot(*np.stack([a, b]).T, color=GREY, linewidth=0.6)


# Lesson 3: samples


def stratified(nears: Tensor, fars: Tensor, n: int) -> PackedSamples:
    """n intervals from near to far, their inner edges moved at random by up to half an interval."""
    s = torch.linspace(0.0, 1.0, n + 1).repeat(len(nears), 1)
    s[:, 1:-1] += (torch.rand(len(nears), n - 1) - 0.5) / n
    return pack_edges(nears[:, None] + s * (fars - nears)[:, None])


def march(origins: Tensor, directions: Tensor, occupied: Tensor, step_size: float) -> PackedSamples:
    """Even steps through the box, kept where the occupancy grid says that something may be there."""
    nears, fars = torch.zeros(len(origins)), torch.full((len(origins),), torch.inf)
    jitter = torch.rand(len(origins))
    return march_grid(origins, directions, nears, fars, occupied, AABB, step_size=step_size, jitter=jitter)


def where_the_weights_are(coarse: PackedSamples, weights: Tensor, n: int) -> Tensor:
    """n values of t for each ray, dense where its weights are large."""
    n_rays = len(coarse.packed_info)
    u = (torch.arange(n) + torch.rand(n_rays, n)) / n
    return sample_pdf(coarse.t_starts, coarse.t_ends, weights, coarse.packed_info, u.clamp(max=1 - 2**-24))


def solid_scene(points: Points) -> tuple[Tensor, Tensor]:
    """The demo scene as a field: densities 40 inside and 0 outside with a soft step between, and the surface's colours."""
    assert points.directions is not None
    scene, p, d = demo_scene(), points.positions.double().numpy(), points.per_point(points.directions).double().numpy()
    sdf, normals = scene.sdf(p), scene.normals(p)
    sigmas = 40.0 * torch.sigmoid(-torch.tensor(sdf) / 0.004)
    on_surface = p - sdf[:, None] * normals
    return sigmas.float(), torch.tensor(scene.radiance(on_surface, normals, d)).float()


def lesson_sampling(options: Options) -> None:
    """Three ways to place samples, in a slice through the scene that contains the camera."""
    azimuth, n_rays, n_cells = np.radians(25.0), 7, 40
    ahead = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    position = torch.tensor(2.6 * ahead + np.array([0.0, 0.0, 0.75])).float()
    goals = torch.tensor(np.linspace(-0.85, 0.35, n_rays)[:, None] * [0.0, 0.0, 1.0]).float()
    directions = torch.nn.functional.normalize(goals - position, dim=-1)
    origins = position.expand(n_rays, 3).contiguous()
    nears, fars = torch.full((n_rays,), 1.6), torch.full((n_rays,), 3.9)
    coarse = stratified(nears, fars, 32)
    weights = render_samples(solid_scene, origins, directions, coarse).weights
    t_fine = where_the_weights_are(coarse, weights, 32)
    occupied = occupied_cells(n_cells)
    marched = march(origins, directions, occupied, step_size=0.03)
    rows = torch.arange(n_rays)[:, None].expand_as(t_fine).reshape(-1)
    panels = {
        "stratified: 32 a ray, most in empty space": (coarse.ray_indices.long(), middles(coarse)),
        "inverse CDF: 32 more, where the weights are": (rows, t_fine.reshape(-1)),
        f"march through the grid: {len(marched.t_starts) / n_rays:.0f} a ray": (
            marched.ray_indices.long(),
            middles(marched),
        ),
    }
    figure, axes = plt.subplots(1, 3, figsize=(10.4, 2.4), layout="constrained")
    for k, (ax, (title, (ray, t))) in enumerate(zip(axes, panels.items())):
        draw_slice(ax, ahead, occupied if k == 2 else None)
        points = origins[ray] + t[:, None] * directions[ray]
        for d in directions:
            end = position + 4.2 * d
            ax.plot([2.6, float(end @ torch.tensor(ahead).float())], [0.75, float(end[2])], color=RED, linewidth=0.4)
        ax.scatter(points @ torch.tensor(ahead).float(), points[:, 2], s=4.5, color=RED, linewidths=0, zorder=3)
        ax.set_title(title, fontsize=9.5)
    save(figure, options.output_dir / "sampling.png")


def middles(samples: PackedSamples) -> Tensor:
    """Where the field is asked: the midpoints of the intervals."""
    return 0.5 * (samples.t_starts + samples.t_ends)


def occupied_cells(n: int) -> Tensor:
    """Cells of an n x n x n grid over the box that the scene may reach into, (1, n, n, n): what a trained grid has learnt."""
    centers = (np.arange(n) + 0.5) / n * 2.0 - 1.0
    points = np.stack(np.meshgrid(centers, centers, centers, indexing="ij"), axis=-1)
    return torch.tensor(demo_scene().sdf(points) < 3**0.5 / n)[None]


def draw_slice(ax: Axes, ahead: np.ndarray, occupied: Tensor | None) -> None:
    """Inside and outside of the scene in the plane of ``ahead`` and z; occupied cells shaded."""
    h, z = np.meshgrid(np.linspace(-1.3, 1.3, 521), np.linspace(-0.75, 0.75, 301))
    points = np.stack([h * ahead[0], h * ahead[1], z], axis=-1)
    extent = (-1.3, 1.3, -0.75, 0.75)
    shade = np.ones((*h.shape, 3))
    if occupied is not None:
        cells = np.floor((points + 1.0) / 2.0 * occupied.shape[1]).astype(int)
        within = ((cells >= 0) & (cells < occupied.shape[1])).all(axis=-1)
        x, y, w = np.where(within[..., None], cells, 0).transpose(2, 0, 1)
        shade[within & occupied[0].numpy()[x, y, w]] = (0.80, 0.90, 0.93)
    shade[demo_scene().sdf(points) < 0.0] = (0.35, 0.35, 0.35)
    ax.imshow(shade, origin="lower", extent=extent, interpolation="nearest")
    ax.set(xlim=(-1.3, 1.3), ylim=(-0.75, 0.75), xticks=[], yticks=[])


# Lesson 4: compositing


def render_samples(radiance: Callable, origins: Tensor, directions: Tensor, samples: PackedSamples) -> Composited:
    """Asks a field at the middle of each interval, and adds up along each ray."""
    ray = samples.ray_indices.long()
    positions = origins[ray] + middles(samples)[:, None] * directions[ray]
    sigmas, rgbs = radiance(Points(positions, ray, directions))
    return composite(sigmas, rgbs, samples.t_starts, samples.t_ends, samples.packed_info)


def lesson_compositing(options: Options) -> None:
    """Weights along a ray that passes the thin hoop; colour, opacity and depth of a whole picture."""
    pose = look_at(np.array([2.2, -1.7, 1.5]), np.array([0.0, 0.0, -0.04]))
    side, step_size = options.side, 0.01
    origins, directions = rays_of(pose, side)
    occupied = occupied_cells(64)
    samples = march(origins, directions, occupied, step_size)
    seen = render_samples(solid_scene, origins, directions, samples)
    k = pixel_of_two_surfaces(origins, directions)
    figure = plt.figure(figsize=(9.6, 6.0), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=(1.0, 1.05))
    draw_ray(figure.add_subplot(grid[0, :]), origins[k : k + 1], directions[k : k + 1])
    exact = torch.tensor(depth(demo_scene(), Camera.centred(pose, FOCAL * side, side, side))).float()
    exact[exact.isinf()] = torch.nan
    depths = torch.where(seen.accumulation > 0.5, seen.depth, torch.nan).view(side, side)
    rgb = blend_background(seen.rgb, seen.accumulation, torch.ones(3)).view(side, side, 3)
    axes = [figure.add_subplot(grid[1, j]) for j in range(4)]
    show_picture(axes[0], rgb, "colour, over white")
    axes[0].scatter([k % side], [k // side], s=60, facecolors="none", edgecolors=RED, linewidths=1.6)
    axes[1].imshow(seen.accumulation.view(side, side), cmap="gray", vmin=0, vmax=1)
    limits = {"cmap": "viridis_r", "vmin": 2.2, "vmax": 4.0}
    axes[2].imshow(depths, **limits)
    axes[3].imshow(exact, **limits)
    titles = ("accumulation A", "depth of the weights", "exact depth of the scene")
    for ax, title in zip(axes[1:], titles):
        ax.set(xticks=[], yticks=[])
        ax.set_xlabel(title, fontsize=10)
    save(figure, options.output_dir / "compositing.png")
    error = (depths - exact).abs()
    print(f"compositing: median error of the depth {error[error.isfinite()].median():.4f}")


def pixel_of_two_surfaces(origins: Tensor, directions: Tensor) -> int:
    """A pixel that sees the middle of something thin with something else behind; where there is none, of anything."""
    scene, o, d = demo_scene(), origins.double().numpy(), directions.double().numpy()
    hits = scene.intersect(o, d)
    seen = np.flatnonzero(hits.index >= 0)
    p, index = o[seen] + hits.t[seen, None] * d[seen], hits.index[seen]
    thin = np.array([x.name == "hoop" or x.name.startswith("leg") for x in scene.objects])[index]
    behind = scene.intersect(p + 0.3 * d[seen], d[seen]).index >= 0
    facing = -np.einsum("ni,ni->n", scene.normals(p, index), d[seen])
    return int(seen[(facing + 2.0 * (thin & behind)).argmax()])


def draw_ray(ax: Axes, origin: Tensor, direction: Tensor) -> None:
    """Density, transmittance and weights along a ray, the colours under them, and what they add up to."""
    step_size = 0.02
    samples = march(origin, direction, torch.ones(1, 1, 1, 1, dtype=torch.bool), step_size)
    t = middles(samples)
    sigmas, rgbs = solid_scene(Points(origin + t[:, None] * direction, directions=direction.expand(len(t), 3)))
    seen = composite(sigmas, rgbs, samples.t_starts, samples.t_ends, samples.packed_info)
    transmittance = torch.exp(-(sigmas * step_size).cumsum(0) + sigmas * step_size)
    ax.fill_between(t, sigmas / 40.0, step="mid", color="#dddddd", label="density $\\sigma$ / 40")
    ax.plot(t, transmittance, color=BLUE, label="transmittance $T$", drawstyle="steps-mid")
    ax.bar(t, seen.weights, width=step_size, color=RED, label="weight $w$", zorder=3)
    ax.axvline(float(seen.depth[0]), color="black", linewidth=1.0, label="depth")
    ax.axvline(float(seen.median_depth[0]), color="black", linewidth=1.0, linestyle=":", label="median depth")
    ax.imshow(
        rgbs[None].numpy(), extent=(float(t[0]), float(t[-1]), -0.16, -0.04), aspect="auto", interpolation="nearest"
    )
    ax.text(float(t[-1]) + 0.02, -0.1, "colours $c$", va="center", fontsize=9)
    patch = blend_background(seen.rgb, seen.accumulation, torch.ones(3))[0].clamp(0, 1).numpy()
    ax.text(float(t[-1]) + 0.02, 0.38, "the pixel", va="center", fontsize=9)
    ax.scatter([float(t[-1]) + 0.1], [0.2], s=420, marker="s", color=[patch], edgecolors="black")
    ax.set(xlim=(float(t[0]), float(t[-1]) + 0.32), ylim=(-0.17, 1.05), xlabel="t along the ray")
    ax.legend(fontsize=8.5, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)


# Lesson 5: training


@dataclass
class Nerf:
    """A field and the grid that says where it is not empty."""

    radiance: NeRFHash = field(
        default_factory=lambda: NeRFHash(
            NeRFHashConfig(encoding=HashEncodingConfig(max_resolution=256, log2_table_size=15))
        )
    )
    grid: OccupancyGrid = field(
        default_factory=lambda: OccupancyGrid(OccupancyGridConfig(resolution=64, warmup_steps=64), AABB, levels=1)
    )
    step_size: float = 0.02

    def see(self, origins: Tensor, directions: Tensor) -> tuple[Composited, PackedSamples]:
        """What rays see."""
        samples = march(origins, directions, self.grid.occupied, self.step_size)
        return render_samples(self.radiance, origins, directions, samples), samples


def train(nerf: Nerf, rays: tuple[Tensor, Tensor], colors: Tensor, steps: int, watch: Callable) -> None:
    """Adam on the squared error of 1024 random pixels a step. Rays and RGBA colours are those of all training pixels."""
    origins, directions = rays
    optimizer = torch.optim.Adam(nerf.radiance.parameters(), lr=1e-2, eps=1e-15, fused=True)
    for step in range(steps):
        nerf.grid.update(step, lambda positions: nerf.radiance.density(Points(positions)), nerf.step_size)
        chosen = torch.randint(len(colors), (1024,))
        seen, samples = nerf.see(origins[chosen], directions[chosen])
        # The same random colour behind render and truth: only empty space can match every one of them.
        background = torch.rand(len(chosen), 3)
        render = blend_background(seen.rgb, seen.accumulation, background)
        alpha = colors[chosen, 3:]
        truth = alpha * colors[chosen, :3] + (1 - alpha) * background
        loss = torch.mean((render - truth) ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch(step + 1, len(samples.t_starts) / len(chosen))


@torch.no_grad()
def picture_from(nerf: Nerf, pose: np.ndarray, side: int) -> Tensor:
    """The view of a camera, over white."""
    seen, _ = nerf.see(*rays_of(pose, side))
    return blend_background(seen.rgb, seen.accumulation, torch.ones(3)).view(side, side, 3)


class Moment(NamedTuple):
    """The state of a training."""

    step: int
    seconds: float
    picture: Tensor
    psnr: float
    samples_per_ray: float
    occupied: Tensor
    densities: Tensor


def learn_the_scene(options: Options) -> tuple[Tensor, list[Moment]]:
    """Trains on views of the demo scene; returns the truth of a view between them, and what became of it."""
    side, n = options.side, options.n_views
    poses = dome(np.arange(n, dtype=float), n, TARGET, 3.3, (2.0, 80.0))
    rays = [rays_of(pose, side) for pose in poses]
    origins, directions = (torch.cat(part) for part in zip(*rays))
    colors = torch.cat([view_of(pose, side).view(-1, 4) for pose in poses])
    (held_out,) = dome(np.array([0.4 * n + 0.5]), n, TARGET, 3.3, (2.0, 80.0))
    truth = over_white(view_of(held_out, side))
    nerf, moments, wanted, began = Nerf(), [], growing_steps(options.train_steps, 6), time.perf_counter()

    def watch(step: int, samples_per_ray: float) -> None:
        if step in wanted:
            picture, seconds = picture_from(nerf, held_out, side), time.perf_counter() - began
            occupied, densities = nerf.grid.occupied.clone(), nerf.grid.densities.clone()
            moments.append(
                Moment(step, seconds, picture, float(psnr(truth, picture)), samples_per_ray, occupied, densities)
            )

    train(nerf, (origins, directions), colors, options.train_steps, watch)
    return truth, moments


def lesson_training(options: Options) -> None:
    """A view that is not trained on, over time; the occupancy grid at the same steps."""
    truth, moments = learn_the_scene(options)
    figure, axes = plt.subplots(1, len(moments) + 1, figsize=(1.62 * (len(moments) + 1), 2.1), layout="constrained")
    for ax, moment in zip(axes, moments):
        show_picture(ax, moment.picture, f"{moment.psnr:.1f} dB, {moment.seconds:.1f} s")
        ax.set_title(f"step {moment.step}", fontsize=10)
        print(f"training, step {moment.step}: {moment.psnr:.2f} dB after {moment.seconds:.1f} s")
    show_picture(axes[-1], truth, "")
    axes[-1].set_title("truth", fontsize=10)
    save(figure, options.output_dir / "training.png")
    lesson_grid(moments, options)


# Lesson 6: the occupancy grid


def lesson_grid(moments: list[Moment], options: Options) -> None:
    """A slice y = 0 of the grid: densities, and which cells are occupied."""
    figure, axes = plt.subplots(2, len(moments), figsize=(1.75 * len(moments), 4.1), layout="constrained")
    for column, moment in zip(axes.T, moments):
        middle = moment.occupied.shape[2] // 2
        densities, occupied = moment.densities[0, :, middle].T, moment.occupied[0, :, middle].T
        column[0].imshow(np.log10(1e-2 + densities), origin="lower", cmap="magma", vmin=-2, vmax=2.3)
        column[1].imshow(occupied, origin="lower", cmap="Blues", vmin=0, vmax=1.4)
        column[0].set_title(f"step {moment.step}", fontsize=10)
        share = float(moment.occupied.float().mean())
        column[1].set_xlabel(f"{share:.0%} occupied,\n{moment.samples_per_ray:.1f} samples a ray", fontsize=9)
        print(f"grid, step {moment.step}: {share:.1%} occupied, {moment.samples_per_ray:.1f} samples a ray")
    axes[0, 0].set_ylabel("density (log)", fontsize=10)
    axes[1, 0].set_ylabel("occupied cells", fontsize=10)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    save(figure, options.output_dir / "grid.png")


# All lessons


def over_white(rgba: Tensor) -> Tensor:
    """(..., 4) with straight alpha -> (..., 3)."""
    return rgba[..., :3] * rgba[..., 3:] + 1.0 - rgba[..., 3:]


def show_picture(ax: Axes, picture: Tensor, caption: str) -> None:
    """A picture with a line under it, pixels as they are."""
    ax.imshow(picture.clamp(0.0, 1.0), interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.set_xlabel(caption, fontsize=9)


def save(figure: Figure, path: Path) -> None:
    """A PNG of 256 colours, which is a third as large and looks the same."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    plt.close(figure)
    Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path)


LESSONS: dict[Lesson, Callable[[Options], None]] = {
    "fit": lesson_fit,
    "rays": lesson_rays,
    "sampling": lesson_sampling,
    "compositing": lesson_compositing,
    "training": lesson_training,
}


def main(options: Options) -> None:
    """Makes the pictures of the chosen lessons."""
    warnings.simplefilter("ignore", FutureWarning)
    matplotlib.use("Agg")
    keep_freed_memory()
    if min(options.side, options.fit_steps, options.train_steps, options.n_views) < 1:
        raise InputError("side, fit_steps, train_steps and n_views: give 1 or more")
    options.output_dir.mkdir(parents=True, exist_ok=True)
    for lesson in options.lessons:
        torch.manual_seed(options.seed)
        LESSONS[lesson](options)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except InputError as error:
        sys.exit(f"error: {error}")
