"""The options of `nerf-plugins mesh`; imports nothing, so that the command line is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Format = Literal["ply", "obj", "glb"]


@dataclass(frozen=True)
class MeshOptions:
    """Write the surface that a trained model has learnt as a mesh, in the input data's world units."""

    load_config: Path
    """The config.yml of the run."""
    output_dir: Path | None = None
    """Folder for mesh.ply and so on. None: the folder mesh beside the config.yml. No file there is overwritten."""
    resolution: int = 512
    """Cells along the longest side of the scene box."""
    time: float | None = None
    """Of a moving scene: the time of the mesh, in [0, 1]. None: the first one."""
    style: str | None = None
    """Of a model with codes of photos: the training photo whose light and style the colours have, as the end of its path ("r_3").
    None: the mean of all."""
    formats: tuple[Format, ...] = ("ply",)
    """Files to write; all have vertex colours and normals."""
    close_at_box: bool = False
    """Close the surface where it leaves the scene box, by the box's sides."""
    largest_component: bool = False
    """Keep only the connected piece with the largest area."""
    masks: Literal["ignore", "most", "any"] = "ignore"
    """Drop what lies outside the training images' masks (their alpha channel).
    most: in most of the views that have it in the image. any: in any of them."""
    mask_margin: int = 3
    """Pixels by which the masks are widened first."""
