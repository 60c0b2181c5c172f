"""`nerf-plugins mesh`: from the config.yml of a run to files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from nerfstudio.utils.rich_utils import CONSOLE
from rich.progress import track
from torch import Tensor

from nerf_plugins.data.looks import photo_weights
from nerf_plugins.errors import InputError
from nerf_plugins.export.masks import inside_masks
from nerf_plugins.export.mesh import (
    color_vertices,
    keep_vertices,
    largest_component,
    model_mesh,
    move_to_world,
    write_mesh,
)
from nerf_plugins.export.options import MeshOptions
from nerf_plugins.files.writing import check_free
from nerf_plugins.runs.loading import load_pipeline, read_config, require_checkpoint

if TYPE_CHECKING:
    from trimesh import Trimesh

MAX_OUTSIDE = {"most": 0.5, "any": 0.0}
"""The share of views that may have a point outside their masks."""
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
    if options.resolution < 1:
        raise InputError(f"resolution {options.resolution}: give 1 cell or more")
    check_memory(options.resolution)
    if options.mask_margin < 0:
        raise InputError(f"mask_margin {options.mask_margin}: give 0 pixels or more")
    if options.time is not None and not 0 <= options.time <= 1:
        raise InputError(f"time {options.time:g}: give one in [0, 1]")
    if not options.formats:
        raise InputError("formats: give one or more of ply, obj, glb")
    require_checkpoint(read_config(options.load_config))
    folder = options.output_dir or options.load_config.parent / "mesh"
    paths = [folder / f"mesh.{ending}" for ending in dict.fromkeys(options.formats)]
    for path in paths:
        check_free(path, "--output-dir")
    _, pipeline = load_pipeline(options.load_config, "inference")
    mesh = mesh_of(pipeline.model, pipeline.datamanager, options)
    for path in paths:
        write_mesh(mesh, path)
    return paths


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
    """The mesh of a loaded pipeline's model, with colours, in the world units of its data manager's dataset."""
    if options.time is not None and "times" not in model.field.needs:
        raise InputError(f"time {options.time:g}: this model knows no times: leave the option out")
    at, weights = options.time or 0.0, _photo_weights(model, datamanager, options.style)
    mesh = model_mesh(model, options.resolution, options.close_at_box, _progress, at)
    if options.masks != "ignore":
        dataset, share = datamanager.train_dataset, MAX_OUTSIDE[options.masks]
        mesh = keep_vertices(mesh, inside_masks(mesh.vertices, dataset, share, options.mask_margin))
    if options.largest_component:
        mesh = largest_component(mesh)
    with model.shown(weights):
        color_vertices(mesh, model.implicit_surface(at))
    outputs = datamanager.train_dataparser_outputs
    move_to_world(mesh, outputs.dataparser_transform, outputs.dataparser_scale)
    CONSOLE.print(
        f"{len(mesh.vertices)} vertices, {len(mesh.faces)} triangles, {'closed' if mesh.is_watertight else 'open'}"
    )
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


def _progress(blocks: Sequence[Any]) -> Iterable[Any]:
    """Passes the blocks on, with a bar, or where one cannot be drawn anew (a log file) a line for each tenth."""
    if CONSOLE.is_interactive:
        yield from track(blocks, "Evaluating blocks", console=CONSOLE)
        return
    CONSOLE.print(f"Evaluating {len(blocks)} blocks")
    start, tenths = time.monotonic(), 0
    for done, block in enumerate(blocks, start=1):
        yield block  # what follows runs when the block is done
        if 10 * done // len(blocks) > tenths:
            tenths = 10 * done // len(blocks)
            left = (time.monotonic() - start) * (len(blocks) - done) / done
            CONSOLE.print(f"{done} of {len(blocks)} blocks, about {left:.0f} s left")
