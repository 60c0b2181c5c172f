"""The options of `nerf-plugins fit-image`; imports nothing, so that the command line is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class PictureMLPOptions:
    """Layers on a positional encoding."""

    frequencies: int = 8
    """Octaves of the positional encoding. Each makes detail half as large learnable; 0 feeds in the bare coordinates."""
    layers: int = 4
    """Hidden layers."""
    width: int = 128
    """Width of the hidden layers."""
    lr: float = 5e-3
    """Adam's learning rate at the start; it falls to a tenth."""


@dataclass(frozen=True)
class PictureHashOptions:
    """Layers on a multiresolution hash encoding, whose finest level has a cell for each pixel of the longer side."""

    levels: int = 12
    """Levels of the encoding."""
    base_resolution: int = 8
    """Cells along the longer side in the coarsest level."""
    log2_table_size: int = 15
    """Finer levels than fit into 2^this entries share them."""
    layers: int = 2
    """Hidden layers."""
    width: int = 64
    """Width of the hidden layers."""
    lr: float = 1e-2
    """Adam's learning rate at the start; it falls to a tenth."""


@dataclass(frozen=True)
class FitImageOptions:
    """Let a field learn one picture, (x, y) to colour: its loss curve, and the picture over time."""

    image: Path | None = None
    """Picture to learn. None: a view of the demo scene."""
    output_dir: Path = Path("fit-image")
    """New folder for the results. Nothing is overwritten: it must not exist, or be empty."""
    field: Literal["mlp", "hash"] = "mlp"
    """mlp: positional encoding and layers, as in NeRF. hash: hash encoding and small layers, as in instant-ngp."""
    mlp: PictureMLPOptions = PictureMLPOptions()
    """The field mlp."""
    hash: PictureHashOptions = PictureHashOptions()
    """The field hash."""
    steps: int = 1000
    """Training steps."""
    pixels_per_step: int = 8192
    """Pixels, drawn at random, that a step learns from."""
    pictures: int = 8
    """Pictures of the progress: before the first step, after the last one, and between at evenly growing numbers of steps."""
    max_side: int = 256
    """Larger pictures are shrunk to this many pixels along their longer side."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: cuda where there is one."""
    seed: int = 0
    """Of the weights and of the pixels drawn."""
