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
    """The config.yml of the run, or its folder."""
    output_dir: Path | None = None
    """Folder for mesh.ply and so on. None: the folder mesh beside the config.yml. No file there is overwritten."""
    resolution: int = 512
    """Cells along the longest side of the scene box."""
    time: float | None = None
    """Of a moving scene: the time of the mesh, in [0, 1]. None: the first one."""
    style: str | None = None
    """Of a model with codes of photos: the training photo whose light and style the colours have, as the end of its path ("r_3").
    None: the mean of all."""
    formats: tuple[Format, ...] | None = None
    """Files to write. None: ply, and with --texture glb.
    All have normals, and vertex colours or, glb and obj, textures."""
    faces: int | None = None
    """Simplify to about this many triangles. None: all that there are."""
    texture: int | None = None
    """Texels along a side of the colour and normal textures (2048, say). None: vertex colours."""
    up: Literal["data", "z", "y"] = "data"
    """Turn the mesh by quarter turns until the axis that is up in the photos is +z (Blender, printing) or +y (glTF, three.js).
    data: axes as the input data has them."""
    close_at_box: bool = False
    """Close the surface where it leaves the scene box, by the box's sides."""
    largest_component: bool = False
    """Keep only the connected piece with the largest area."""
    min_part: float = 0.0
    """Drop connected pieces with a smaller share of the whole area than this, in [0, 1)."""
    close_holes: int = 0
    """Close holes whose border has no more edges than this, before the mesh is simplified."""
    masks: Literal["ignore", "most", "any"] = "ignore"
    """Drop what lies outside the training images' masks (their alpha channel).
    most: in most of the views that have it in the image. any: in any of them."""
    mask_margin: int = 3
    """Pixels by which the masks are widened first."""
    min_views: int = 0
    """Drop what fewer training photos than this see from outside, with nothing of the surface before it.
    1: what no photo sees, as sheets behind the surface. 0: nothing."""
    view_margin: int = 3
    """Rings of triangles that stay around what the photos see."""
    point: tuple[float, float, float] | None = None
    """Keep only what is near this point of the input data's world, as a file of points or process-data's capture.png has it.
    The viewer shows another one: training has moved and scaled it."""
    radius: float | None = None
    """How near, in world units; belongs to --point."""
    table: Literal["keep", "drop"] = "keep"
    """drop: the largest plane that faces up near --point is a table or floor.
    It is left out, with what is below it and what is not connected to the part nearest to the point."""
