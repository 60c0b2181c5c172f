#!/usr/bin/env python3
"""Loads a trained model in Python, asks for its surface as a function, and makes a mesh of it in the input data's world units.

    ns-train neus-hash-custom demo-data
    python examples/mesh_from_checkpoint.py --load-config outputs/.../config.yml --output-path mesh.ply

``nerf-plugins mesh`` does this and more from the command line; here is what it is made of.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tyro
from nerfstudio.utils.eval_utils import eval_setup

from nerf_plugins.errors import InputError
from nerf_plugins.export.mesh import color_vertices, extract_mesh, write_mesh
from nerf_plugins.export.parts import largest_component
from nerf_plugins.export.world import move_to_world


def main(load_config: Path, output_path: Path, resolution: int = 128) -> None:
    """Writes the largest piece of the surface.

    Args:
        load_config: The config.yml of the run.
        output_path: File to write, PLY, OBJ or GLB by its ending; never over another one.
        resolution: Cells along the longest side of the scene box.
    """
    run: tuple[Any, ...] = eval_setup(load_config, test_mode="inference")
    _, pipeline, checkpoint, step = run
    print(f"{checkpoint}, step {step}")
    outputs = pipeline.datamanager.train_dataparser_outputs

    # Any model of this package offers its surface as a function of positions: a distance, or a negative density.
    surface = pipeline.model.implicit_surface()
    centre = surface.aabb.mean(dim=0, keepdim=True)
    print(f"at the box's centre: {surface.value(centre).item():.3g}; the surface is where this is {surface.level:.3g}")

    mesh = largest_component(extract_mesh(surface, resolution))
    color_vertices(mesh, surface)  # asks the model, so before the mesh leaves its space
    move_to_world(mesh, outputs.dataparser_transform, outputs.dataparser_scale)
    state = f"closed, of volume {mesh.volume:.4g}" if mesh.is_watertight else "open"
    print(f"{len(mesh.vertices)} vertices, {len(mesh.faces)} triangles, {state}")
    write_mesh(mesh, output_path)
    print(output_path)


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        sys.exit(f"error: {error}")
