"""``nerf-plugins tracks``: from the config.yml of a run to files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from nerfstudio.utils.rich_utils import CONSOLE
from torch import Tensor

from nerf_plugins.calls import call_size, in_calls
from nerf_plugins.errors import InputError
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.export.mesh import color_vertices, model_mesh
from nerf_plugins.export.world import scene_from_world
from nerf_plugins.files.writing import check_free, new_file
from nerf_plugins.runs.loading import config_file, load_pipeline, read_config, require_checkpoint
from nerf_plugins.tracks.following import Found, find
from nerf_plugins.tracks.options import TracksOptions
from nerf_plugins.tracks.truth import NEAR, Motion, errors, read_motion


class Seeds(NamedTuple):
    """The points that are followed, where they are at the start; in the scene's space."""

    start: float
    positions: Float[Tensor, "n 3"]
    colors: npt.NDArray[np.uint8]


def run(options: TracksOptions) -> int:
    """Follows the points, and prints the files' paths; returns the exit code 0."""
    for path in write_tracks(options):
        print(path)
    return 0


def write_tracks(options: TracksOptions) -> list[Path]:
    """Follows the points and writes the files.

    Raises:
        InputError: an option, the run, or the surface; nothing has been written then.
    """
    check(options)
    options = replace(options, load_config=config_file(options.load_config))
    motion = None if options.truth is None else read_motion(options.truth)
    require_checkpoint(read_config(options.load_config))
    times = np.linspace(0.0, 1.0, options.times) if motion is None else motion.times
    folder = options.output_dir or options.load_config.parent / "tracks"
    names = [f"tracks_{i:03d}.ply" for i in range(0 if options.npz_only else len(times))]
    paths = [folder / name for name in ("tracks.npz", *names)]
    for path in paths:
        check_free(path, "--output-dir")
    _, pipeline = load_pipeline(options.load_config, "inference")
    outputs = pipeline.datamanager.train_dataparser_outputs
    to_scene = scene_from_world(outputs.dataparser_transform, outputs.dataparser_scale)
    pipeline.model.warp_at(times[0])  # refuses a model without one, before anything is looked for
    if motion is None:
        seeds = surface_seeds(pipeline.model, options)
    else:
        seeds = known_seeds(pipeline.model, motion, to_scene)
    tracks, residuals = follow(pipeline.model, seeds, times.tolist(), options.resolution)
    points = moved(tracks, np.linalg.inv(to_scene))
    arrays = {"times": times, "points": points.astype(np.float32), "residuals": residuals, "colors": seeds.colors}
    if motion is not None:
        arrays |= _report(points, motion)
    with new_file(paths[0], "--output-dir") as part:
        np.savez_compressed(part, **arrays)
    for path, of_time in zip(paths[1:], points):
        write_points(of_time, seeds.colors, path)
    return paths


def check(options: TracksOptions) -> None:
    """Refuses options from which nothing can be made, before anything is read.

    Raises:
        InputError: naming the first of them.
    """
    if not 0 <= options.start <= 1:
        raise InputError(f"start {options.start:g}: give a time in [0, 1]")
    for name, least in (("times", 2), ("points", 1), ("resolution", 1)):
        if getattr(options, name) < least:
            raise InputError(f"{name} {getattr(options, name)}: give {least} or more")


def follow(
    model: Any, seeds: Seeds, times: list[float], resolution: int
) -> tuple[Float[np.ndarray, "t n 3"], Float[np.ndarray, "t n"]]:
    """Where the points are at each of the times, and the residuals; see :func:`find`.

    Raises:
        InputError: the model's field is seen through no warp, or there is nothing at one of the times.
    """
    places = in_calls(model.warp_at(seeds.start), seeds.positions, size=call_size(seeds.positions.device)).detach()
    found: list[Found] = []
    for done, time in enumerate(times, start=1):
        candidates = occupied(model.implicit_surface(time), resolution, time)
        found.append(find(model.warp_at(time), places, candidates))
        CONSOLE.print(f"Time {time:.3g} ({done} of {len(times)})")
    positions, residuals = (torch.stack(values).cpu().numpy() for values in zip(*found))
    return positions, residuals


def occupied(surface: ImplicitSurface, resolution: int, time: float) -> Float[Tensor, "m 3"]:
    """The points of a grid in the surface's box that are inside it.

    Raises:
        InputError: none is.
    """
    low, high = surface.aabb
    cell = float((high - low).max()) / resolution
    axes = [torch.arange(a + 0.5 * cell, b, cell) for a, b in zip(low.tolist(), high.tolist())]
    grid = torch.cartesian_prod(*axes).to(surface.aabb)
    inside = grid[in_calls(surface.value, grid, size=call_size(grid.device)) < surface.level]
    if not len(inside):
        raise InputError(f"at the time {time:g} nothing is as dense as a surface: train longer, or raise --resolution")
    return inside


def moved(points: Float[np.ndarray, "*batch 3"], matrix: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "*batch 3"]:
    """Points by an affine map."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def write_points(points: Float[np.ndarray, "n 3"], colors: npt.NDArray[np.uint8], path: Path) -> None:
    """Writes coloured points as PLY; the file is complete or not there.

    Raises:
        InputError: the file exists, or cannot be written.
    """
    from trimesh import PointCloud

    with new_file(path, "--output-dir") as part:
        PointCloud(points, colors).export(part)


def surface_seeds(model: Any, options: TracksOptions) -> Seeds:
    """Points spread over the surface, in its colours.

    Raises:
        InputError: there is none; see :func:`model_mesh`.
    """
    from trimesh.sample import sample_surface

    mesh = model_mesh(model, options.resolution, time=options.start)
    color_vertices(mesh, model.implicit_surface(options.start))
    points, faces = sample_surface(mesh, options.points, seed=0)[:2]
    positions = torch.as_tensor(np.asarray(points), dtype=torch.float32, device=model.device)
    return Seeds(options.start, positions, np.asarray(mesh.visual.face_colors)[faces, :3])  # type: ignore[union-attr]


def known_seeds(model: Any, motion: Motion, to_scene: Float[np.ndarray, "4 4"]) -> Seeds:
    """Those of known motion, in grey."""
    positions = torch.as_tensor(moved(motion.points[0], to_scene), dtype=torch.float32, device=model.device)
    return Seeds(float(motion.times[0]), positions, np.full((len(positions), 3), 160, np.uint8))


def _report(points: Float[np.ndarray, "t n 3"], motion: Motion) -> dict[str, npt.NDArray[np.floating]]:
    """Prints the errors; gives what is written of them."""
    found = errors(points, motion)
    CONSOLE.print(
        f"Error over {len(motion.times) - 1} times of {points.shape[1]} points, as a share of the object's size {motion.size:.3g}: "
        f"median {found.median:.2%}, within {NEAR:.0%}: {found.near:.1%}",
        soft_wrap=True,
    )
    worst = int(found.medians.argmax()) + 1
    CONSOLE.print(f"Worst at the time {motion.times[worst]:.3g}: median {found.medians[worst - 1]:.2%}")
    return {
        "error_medians": found.medians,
        "error_median": np.asarray(found.median),
        "error_near": np.asarray(found.near),
    }
