"""The spaces a scene can live in: where rays are marched, and what coordinates a field sees. ``SPACES`` lists those to choose from."""

from __future__ import annotations

from typing import Any

from nerf_plugins.spaces.base import Space
from nerf_plugins.spaces.bounds import box_span
from nerf_plugins.spaces.box import BoxSpace
from nerf_plugins.spaces.contracted import ContractedSpace
from nerf_plugins.spaces.cube import CubeSpace
from nerf_plugins.spaces.ndc import NDCSpace

SPACES: dict[str, type[Space]] = {"box": BoxSpace, "contracted": ContractedSpace, "ndc": NDCSpace}
"""By the name that the command line has for it. :class:`CubeSpace` is that of signed distance fields, always."""


def suitable_space(metadata: dict[str, Any]) -> str:
    """Name of the space that suits a dataset: device coordinates if its dataparser asks for them, the box if it says that there is nothing
    outside, the contracted one if most cameras stand in the scene box, else the box.

    Args:
        metadata: of the training dataset.

    Example:
        >>> suitable_space({}), suitable_space({"cameras_inside_box": True})
        ('box', 'contracted')
    """
    if "ndc" in metadata:
        return "ndc"
    return "contracted" if metadata.get("cameras_inside_box") and not metadata.get("is_bounded") else "box"


__all__ = [
    "SPACES",
    "BoxSpace",
    "ContractedSpace",
    "CubeSpace",
    "NDCSpace",
    "Space",
    "box_span",
    "suitable_space",
]
