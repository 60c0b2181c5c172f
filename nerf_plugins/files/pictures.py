"""Tensors as pictures, and several of them in a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

_GAP = 4
_CAPTION = 14


def to_bytes(picture: Float[Tensor, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    """8 bits a channel."""
    return (255.0 * picture.clamp(0.0, 1.0)).round().byte().numpy()


def strip(pictures: Sequence[Float[Tensor, "height width 3"]], captions: Sequence[str]) -> Image.Image:
    """Pictures of one size in a row, each with a line of text under it."""
    height, width, _ = pictures[0].shape
    row = Image.new("RGB", (len(pictures) * (width + _GAP) - _GAP, height + _CAPTION), "white")
    for k, (picture, caption) in enumerate(zip(pictures, captions)):
        row.paste(Image.fromarray(to_bytes(picture)), (k * (width + _GAP), 0))
        ImageDraw.Draw(row).text((k * (width + _GAP) + 2, height + 1), caption, fill="black")
    return row
