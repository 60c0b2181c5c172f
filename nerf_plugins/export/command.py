"""`nerf-plugins mesh`: from the config.yml of a run to files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float
from nerfstudio.utils.rich_utils import CONSOLE
from rich.progress import track
from torch import Tensor

from nerf_plugins.data.looks import photo_weights
from nerf_plugins.errors import InputError
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.export.masks import check_masks, inside_masks
from nerf_plugins.export.mesh import closed_surface, color_vertices, mesh_files, model_mesh, write_mesh
from nerf_plugins.export.options import MeshOptions
from nerf_plugins.export.parts import Parts, close_holes, connected_parts, keep_faces, keep_vertices
from nerf_plugins.export.picking import above_table, find_table, in_ball
from nerf_plugins.export.simplify import deviation, diagonal, simplify
from nerf_plugins.export.texture import texture_mesh
from nerf_plugins.export.views import cameras_of, seen_faces
from nerf_plugins.export.world import cameras_up, move_to_world, scene_from_world, turn_up
from nerf_plugins.files.writing import check_free
from nerf_plugins.geometry.cameras import Camera
from nerf_plugins.runs.loading import config_file, load_pipeline, read_config, require_checkpoint
from nerf_plugins.wording import counted

if TYPE_CHECKING:
    from trimesh import Trimesh

MAX_OUTSIDE = {"most": 0.5, "any": 0.0}
"""The share of views that may have a point outside their masks."""
MAX_TEXELS = 16384
"""What WebGL has at most."""
BYTES_A_VERTEX = 700
"""At the peak, while blocks are joined and vertices are coloured."""
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def run(options: MeshOptions) -> int:
    """Makes the mesh, and prints the files' paths; returns the exit code 0."""
    for path in export_mesh(options):
        print(path)
    return 0


def export_mesh(options: MeshOptions) -> list[Path]:
    """Makes the mesh and writes its files.

    Raises:
        InputError: an option, the run, or the surface; nothing has been written then.
    """
    check(options)
    options = replace(options, load_config=config_file(options.load_config))
    require_checkpoint(read_config(options.load_config))
    folder = options.output_dir or options.load_config.parent / "mesh"
    paths = [folder / f"mesh.{ending}" for ending in dict.fromkeys(formats_of(options))]
    files = [file for path in paths for file in mesh_files(path, textured=options.texture is not None)]
    for file in files:
        check_free(file, "--output-dir")
    _, pipeline = load_pipeline(options.load_config, "inference")
    mesh = mesh_of(pipeline.model, pipeline.datamanager, options)
    for path in paths:
        write_mesh(mesh, path)
    return files


def formats_of(options: MeshOptions) -> tuple[str, ...]:
    """The files' endings."""
    if options.formats is not None:
        return options.formats
    return ("ply",) if options.texture is None else ("glb",)


def check(options: MeshOptions) -> None:
    """Refuses options that no mesh can be made with.

    Raises:
        InputError: names the first.
    """
    if options.resolution < 1:
        raise InputError(f"resolution {options.resolution}: give 1 cell or more")
    check_memory(options.resolution)
    for name, least, unit in (
        ("mask_margin", 0, "pixels"),
        ("min_views", 0, "photos"),
        ("view_margin", 0, "rings"),
        ("close_holes", 0, "edges"),
        ("faces", 4, "triangles"),
        ("texture", 16, "texels"),
    ):
        value = getattr(options, name)
        if value is not None and value < least:
            raise InputError(f"{name} {value}: give {least} {unit} or more")
    if options.texture is not None and options.texture > MAX_TEXELS:
        raise InputError(f"texture {options.texture}: no viewer takes more than {MAX_TEXELS} texels a side")
    if options.time is not None and not 0 <= options.time <= 1:
        raise InputError(f"time {options.time:g}: give one in [0, 1]")
    if not 0 <= options.min_part < 1:
        raise InputError(f"min_part {options.min_part:g}: give a share of the area in [0, 1)")
    if options.min_views > 0 and options.close_at_box:
        raise InputError("min_views and close_at_box: no photo sees the sides of the box: leave one out")
    _check_formats(options)
    _check_point(options)


def _check_formats(options: MeshOptions) -> None:
    if options.formats is not None and not options.formats:
        raise InputError("formats: give one or more of ply, obj, glb")
    if options.texture is not None and "ply" in formats_of(options):
        raise InputError("formats ply: it holds no textures: give glb or obj, or leave --texture out")


def _check_point(options: MeshOptions) -> None:
    if (options.point is None) != (options.radius is None):
        raise InputError("point and radius: give both, or neither")
    if options.radius is not None and not options.radius > 0:
        raise InputError(f"radius {options.radius:g}: give one above 0")
    if options.table == "drop" and options.point is None:
        raise InputError("table drop: give the object's place too, by --point and --radius")


def check_memory(resolution: int) -> None:
    """Refuses a resolution whose mesh cannot be held: a surface that goes once across the scene box has a vertex for each cell of a side.

    Raises:
        InputError: names the finest that this machine's memory could hold.
    """
    memory = machine_memory()
    if memory is not None and resolution**2 * BYTES_A_VERTEX > memory:
        raise InputError(
            f"resolution {resolution}: a surface across the box needs about {resolution**2 * BYTES_A_VERTEX / 2**30:.0f} GiB of memory, "
            f"and this machine has {memory / 2**30:.0f}: give {int((memory / BYTES_A_VERTEX) ** 0.5)} cells at most"
        )


def machine_memory() -> int | None:
    """Bytes that processes may use here, by the machine or by the container's limit (cgroup v2); None where nobody says."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    try:
        limit = _CONTAINER_LIMIT.read_text(encoding="ascii").strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdigit() else memory  # "max": no limit


def mesh_of(model: Any, datamanager: Any, options: MeshOptions) -> Trimesh:
    """The mesh of a loaded pipeline's model, with colours or textures, in the world units of its data manager's dataset.

    Says on the console what was done, and how large the mesh is.
    """
    if options.time is not None and "times" not in model.field.needs:
        raise InputError(f"time {options.time:g}: this model knows no times: leave the option out")
    if options.masks != "ignore":
        check_masks(datamanager.train_dataset)
    cameras = cameras_of(datamanager.train_dataset.cameras, options.min_views) if options.min_views > 0 else []
    at, weights = options.time or 0.0, _photo_weights(model, datamanager, options.style)
    mesh = model_mesh(model, options.resolution, options.close_at_box, _progress, at)
    outputs = datamanager.train_dataparser_outputs
    if options.masks != "ignore":
        dataset, share = datamanager.train_dataset, MAX_OUTSIDE[options.masks]
        mesh = keep_vertices(mesh, inside_masks(mesh.vertices, dataset, share, options.mask_margin))
    if options.min_views > 0:
        mesh = _seen(mesh, cameras, options)
    if options.point is not None:
        mesh = _picked(mesh, outputs, options)
    mesh = _cleaned(mesh, options)
    surface = model.implicit_surface(at)
    if options.close_at_box:
        surface = closed_surface(surface, options.resolution)
    with model.shown(weights):
        mesh = _colored(mesh, surface, options, float(outputs.dataparser_scale))
    move_to_world(mesh, outputs.dataparser_transform, outputs.dataparser_scale)
    axes = "axes as the input data has them"
    if options.up != "data":
        axes = turn_up(mesh, _up(outputs), options.up)
    _describe(mesh, axes)
    return mesh


def _photo_weights(model: Any, datamanager: Any, style: str | None) -> Float[Tensor, "n_images"] | None:
    """Each training photo's share in the colours; None where no style is asked for."""
    if style is None:
        return None
    if model.looks is None:
        raise InputError(
            f"style {style}: this model was trained without codes of photos (appearance none): leave the option out"
        )
    return photo_weights({style: 1.0}, datamanager.train_image_names, "style")


def _up(outputs: Any) -> Any:
    """Of the input data's world, by its cameras."""
    return cameras_up(outputs.cameras.camera_to_worlds, outputs.dataparser_transform)


def _seen(mesh: Trimesh, cameras: list[Camera], options: MeshOptions) -> Trimesh:
    """What enough of the training photos see, with a margin; says how much the rest is."""
    photos = counted(len(cameras), "training photo")
    CONSOLE.print(f"Looking at {counted(len(mesh.faces), 'triangle')} from {photos}")
    stays = seen_faces(mesh, cameras, options.min_views, options.view_margin)
    unseen = (
        f"that fewer than {options.min_views} of {photos} see"
        if options.min_views > 1
        else f"that none of {photos} sees"
    )
    if stays.all():
        CONSOLE.print(f"no triangle dropped {unseen}")
        return mesh
    seen = keep_faces(mesh, stays)
    CONSOLE.print(
        f"{np.count_nonzero(~stays)} of {counted(len(stays), 'triangle')} dropped {unseen}, with {1.0 - seen.area / mesh.area:.2%} of the "
        f"area; {counted(len(connected_parts(seen).areas), 'part')} left"
    )
    return seen


def _picked(mesh: Trimesh, outputs: Any, options: MeshOptions) -> Trimesh:
    """What is near ``options.point``, without the table if so asked; still in the scene's space."""
    assert options.point is not None
    assert options.radius is not None
    point, radius = np.array(options.point), options.radius
    to_scene = scene_from_world(outputs.dataparser_transform, outputs.dataparser_scale)
    mesh.apply_transform(np.linalg.inv(to_scene))  # so that messages are in world units
    mesh = in_ball(mesh, point, radius)
    if options.table == "drop":
        plane = find_table(mesh, radius, _up(outputs))
        if plane is None:
            CONSOLE.print("no table: no plane that faces up has a tenth of the area near the point")
        else:
            CONSOLE.print(
                f"table dropped: a plane with {plane.share:.0%} of the area near the point, and what is below"
            )
            mesh = above_table(mesh, plane, point, radius)
    mesh.apply_transform(to_scene)
    return mesh


def _cleaned(mesh: Trimesh, options: MeshOptions) -> Trimesh:
    """Without small parts, and with its holes closed, as far as is asked for; says both."""
    if options.largest_component:
        parts = connected_parts(mesh)
        mesh = _with_parts(mesh, parts, np.arange(len(parts.areas)) == parts.areas.argmax())
    if options.min_part > 0:
        parts = connected_parts(mesh)
        mesh = _with_parts(mesh, parts, parts.areas >= options.min_part * parts.areas.sum())
    if options.close_holes > 0:
        mesh, n_closed, n_left = close_holes(mesh, options.close_holes)
        CONSOLE.print(f"{counted(n_closed, 'hole')} closed, {counted(n_left, 'larger one')} left open")
    return mesh


def _with_parts(mesh: Trimesh, parts: Parts, kept: Bool[np.ndarray, "n_parts"]) -> Trimesh:
    """The kept parts; says how much the others are."""
    if kept.all():
        CONSOLE.print(f"no part dropped, of {len(kept)}")
        return mesh
    stays, area = kept[parts.of_face], 1.0 - parts.areas[kept].sum() / parts.areas.sum()
    CONSOLE.print(
        f"{np.count_nonzero(~kept)} of {counted(len(kept), 'part')} dropped, with {area:.2%} of the area and {(~stays).mean():.2%} of "
        "the triangles"
    )
    return keep_faces(mesh, stays)


def _colored(mesh: Trimesh, surface: ImplicitSurface, options: MeshOptions, scale: float) -> Trimesh:
    """Simplified, and with vertex colours or textures; says how far the surface is from the mesh, in world units."""
    n_faces = len(mesh.faces)
    if options.faces is not None:
        mesh = simplify(mesh, options.faces)
    away = deviation(mesh, surface)
    if len(mesh.faces) < n_faces:
        lengths = ", ".join(
            f"{name} {length / scale:.3g} ({length / diagonal(mesh):.3%} of the diagonal)"
            for name, length in (("mean", away.mean), ("99 of 100 points within", away.most))
        )
        CONSOLE.print(f"{n_faces} triangles simplified to {len(mesh.faces)}; the surface is away from them: {lengths}")
        if away.missed > 0:
            CONSOLE.print(f"{away.missed:.1%} of the mesh has no surface within 2 % of the diagonal")
    elif options.faces is not None:
        CONSOLE.print(f"not simplified: {n_faces} triangles are no more than --faces {options.faces}")
    if options.texture is None:
        color_vertices(mesh, surface)
        return mesh
    cell = float((surface.aabb[1] - surface.aabb[0]).max()) / options.resolution
    CONSOLE.print(f"Baking textures of {options.texture} x {options.texture} texels")
    reach = 2.0 * cell + (away.most if away.missed < 1.0 else 0.0)
    return texture_mesh(mesh, surface, options.texture, reach, eps=0.5 * cell)


def _describe(mesh: Trimesh, axes: str) -> None:
    """Says how large a finished mesh is, in which units, and what its axes are."""
    # Of a textured mesh corners are there more than once, where charts end.
    welded = mesh.copy(include_visual=False)
    welded.merge_vertices(merge_norm=True)
    state = "closed" if welded.is_watertight else "open"
    CONSOLE.print(f"{len(mesh.vertices)} vertices, {len(mesh.faces)} triangles, {state}")
    sides = " x ".join(f"{side:.4g}" for side in np.ptp(mesh.vertices, axis=0))
    CONSOLE.print(f"{sides} in the input data's units; {axes}")


def _progress(blocks: Sequence[Any]) -> Iterable[Any]:
    """Passes the blocks on, with a bar, or where one cannot be drawn anew (a log file) a line for each tenth."""
    if CONSOLE.is_interactive:
        yield from track(blocks, "Evaluating blocks", console=CONSOLE)
        return
    CONSOLE.print(f"Evaluating {counted(len(blocks), 'block')}")
    start, tenths = time.monotonic(), 0
    for done, block in enumerate(blocks, start=1):
        yield block  # what follows runs when the block is done
        if 10 * done // len(blocks) > tenths:
            tenths = 10 * done // len(blocks)
            left = (time.monotonic() - start) * (len(blocks) - done) / done
            CONSOLE.print(f"{done} of {counted(len(blocks), 'block')}, about {left:.0f} s left")
