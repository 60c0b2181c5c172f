"""The field of a picture: an encoding of (x, y) and layers. The parts are those of the radiance fields."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import Encoding, FrequencyEncodingConfig, HashEncodingConfig
from nerf_plugins.fields.layers import LinearLayers, linear, pad_columns, pad_rows
from nerf_plugins.fields.precision import resolve_precision
from nerf_plugins.image_fitting.options import PictureHashOptions, PictureMLPOptions


class PictureField(nn.Module):
    """Colour of the points of a picture: encoding, layers with relu, sigmoid.

    Args:
        encoding: of positions in [-1, 1]^3.
        n_layers: hidden layers.
        width: of the hidden layers.
    """

    def __init__(self, encoding: Encoding, n_layers: int, width: int) -> None:
        super().__init__()
        self.encoding = encoding
        self.layers = LinearLayers(encoding.width, width, n_layers)
        self.color_head = nn.Linear(width, 3)

    def forward(self, points: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
        """Colours in [0, 1] at points of [-1, 1]^2 (see :func:`pixel_centers`).

        The encodings are those of space, so a picture is its plane z = 0.
        """
        positions = F.pad(pad_rows(points), (0, 1))
        encoded = self.encoding(positions).to(resolve_precision("auto", points.device))
        (raw,) = linear(self.layers(pad_columns(encoded)), self.color_head)
        return torch.sigmoid(raw.float())[: len(points)]


def picture_mlp(options: PictureMLPOptions) -> PictureField:
    """Layers on a positional encoding.

    Raises:
        InputError: an option out of range.
    """
    if not 0 <= options.frequencies <= 16:
        raise InputError(f"mlp.frequencies {options.frequencies}: give 0 to 16 octaves")
    _check_layers("mlp", options)
    return PictureField(
        FrequencyEncodingConfig(n_frequencies=options.frequencies).setup(), options.layers, options.width
    )


def picture_hash(options: PictureHashOptions, longer_side: int) -> PictureField:
    """Layers on a hash encoding with a cell for each pixel in the finest level.

    Args:
        options: its options.
        longer_side: of the picture, in pixels.

    Raises:
        InputError: an option out of range.
    """
    _check_layers("hash", options)
    encoding = HashEncodingConfig(
        n_levels=options.levels,
        base_resolution=options.base_resolution,
        max_resolution=max(longer_side, options.base_resolution),
        log2_table_size=options.log2_table_size,
    )
    return PictureField(encoding.setup(), options.layers, options.width)


def pixel_centers(height: int, width: int) -> Float[Tensor, "n 2"]:
    """(x, y) of the pixels' centres, row by row: x to the right, y downwards, the longer side from -1 to 1, pixels square."""
    longer = max(height, width)
    x = (2 * torch.arange(width) + 1 - width) / longer
    y = (2 * torch.arange(height) + 1 - height) / longer
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], dim=-1).reshape(-1, 2)


def _check_layers(name: str, options: PictureMLPOptions | PictureHashOptions) -> None:
    for option, least in (("layers", 1), ("width", 2)):
        if getattr(options, option) < least:
            raise InputError(f"{name}.{option} {getattr(options, option)}: give {least} or more")
    if not 0 < options.lr <= 1:
        raise InputError(f"{name}.lr {options.lr}: give a number over 0, up to 1")
