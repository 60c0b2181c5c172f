"""The radiance field of the NeRF paper: one MLP for density and view-dependent colour."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.precision import Precision, resolve_precision

# Matrix units like widths that are multiples of this: 63 or 319 columns can take five times as long as 64 or 320.
_WIDTH_MULTIPLE = 32
_ROWS_MULTIPLE = 1024


@dataclass
class NeRFMLPConfig:
    """The MLP of the NeRF paper."""

    D: int = 8
    """Number of layers before the density."""
    W: int = 256
    """Width of the layers."""
    skips: tuple[int, ...] = (4,)
    """After these layers (counted from 0) the encoded position is concatenated again."""
    position_frequencies: int = 10
    """Octaves of the positional encoding of the position (the paper's L = 10)."""
    direction_frequencies: int = 4
    """Octaves of the positional encoding of the view direction (the paper's L = 4)."""
    density_activation: Literal["softplus", "relu"] = "softplus"
    """softplus has a gradient everywhere, so a ray cannot die; relu is the paper's."""
    initialisation: Literal["glorot", "torch"] = "glorot"
    """glorot: uniform, biases 0, as the paper's code has it; torch: the default of torch's linear layers."""
    implementation: Literal["torch", "tcnn"] = "torch"
    """tcnn: the layers as tiny-cuda-nn networks (CUDA only, without biases); needs tinycudann."""
    precision: Precision = "auto"
    """Arithmetic of the layers. auto: bf16 where the device multiplies it faster, else fp32. Weights are always fp32."""

    def __post_init__(self) -> None:
        if self.D < 1 or self.W < 2:
            raise InputError(f"field: D must be >= 1 and W >= 2, got D={self.D}, W={self.W}")
        if any(not 0 <= skip < self.D - 1 for skip in self.skips) or len(set(self.skips)) < len(self.skips):
            raise InputError(
                f"field: skips must be different and lie in [0, D - 2] = [0, {self.D - 2}], got {self.skips}"
            )


def encode(x: Float[Tensor, "*batch 3"], n_frequencies: int) -> Float[Tensor, "*batch width"]:
    r"""Positional encoding :math:`(x, \sin(2^k \pi x), \cos(2^k \pi x))`, k = 0 .. n_frequencies-1; width 3 + 6 n_frequencies.

    ``x`` should lie in [-1, 1]. Differentiable. Source: Mildenhall et al., NeRF, 2020, equation 4.
    """
    frequencies = torch.pi * 2.0 ** torch.arange(n_frequencies, dtype=x.dtype, device=x.device)
    phases = (x[..., None, :] * frequencies[:, None]).flatten(-2)
    return torch.cat([x, torch.sin(phases), torch.cos(phases)], dim=-1)


class NeRFMLP(nn.Module):
    """Density and colour of points, as in the paper's figure 7.

    ``D`` layers of width ``W`` with relu lead to the density and a feature; feature and encoded direction lead through one layer of
    width ``W/2`` to the colour.
    """

    def __init__(self, config: NeRFMLPConfig) -> None:
        super().__init__()
        self.config = config
        position_width = 3 + 6 * config.position_frequencies
        direction_width = 3 + 6 * config.direction_frequencies
        # The trunk, cut where the position is concatenated again.
        self.trunk = nn.ModuleList()
        cuts = [-1, *sorted(config.skips), config.D - 1]
        for i, (before, last) in enumerate(pairwise(cuts)):
            width_in = position_width if i == 0 else config.W + position_width
            self.trunk.append(_layers(width_in, config.W, last - before, config.implementation))
        self.density_head = nn.Linear(config.W, 1)
        self.feature_head = nn.Linear(config.W, config.W)
        self.view_layer = _TorchLayers(config.W + direction_width, config.W // 2, 1)
        self.colour_head = nn.Linear(config.W // 2, 3)
        if config.initialisation == "glorot":
            self.apply(_initialise_glorot)

    def density(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Density at positions in [-1, 1]^3; in 1 / unit of the space that the samples are marched in."""
        n = len(positions)
        return self._activate_density(*linear(self._trunk_output(pad_rows(positions)), self.density_head))[:n]

    def forward(
        self, positions: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Densities >= 0 and colours in [0, 1].

        Args:
            positions: in [-1, 1]^3.
            directions: unit view directions.
        """
        n = len(positions)
        hidden = self._trunk_output(pad_rows(positions))
        feature, raw_density = linear(hidden, self.feature_head, self.density_head)
        encoded = pad_columns(encode(pad_rows(directions), self.config.direction_frequencies).to(hidden.dtype))
        hidden = self.view_layer(torch.cat([feature, encoded], dim=-1))
        (raw_colour,) = linear(hidden, self.colour_head)
        return self._activate_density(raw_density)[:n], torch.sigmoid(raw_colour.float())[:n]

    def _trunk_output(self, positions: Tensor) -> Tensor:
        dtype = resolve_precision(self.config.precision, positions.device)
        encoded = pad_columns(encode(positions, self.config.position_frequencies).to(dtype))
        hidden = self.trunk[0](encoded)
        for layers in self.trunk[1:]:
            hidden = layers(torch.cat([hidden, encoded], dim=-1))
        return hidden

    def _activate_density(self, raw: Tensor) -> Tensor:
        raw = raw.float().squeeze(-1)
        return F.softplus(raw) if self.config.density_activation == "softplus" else F.relu(raw)


def linear(x: Float[Tensor, "n width"], *layers: nn.Linear) -> tuple[Float[Tensor, "n _"], ...]:
    """Linear layers of one input as one product, in x's precision; x may carry zero columns at its end (see :func:`pad_columns`)."""
    widths = [layer.out_features for layer in layers]
    product = _padded_product(
        x, torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
    )
    return product.split([*widths, product.shape[-1] - sum(widths)], dim=-1)[: len(layers)]


def _padded_product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``x @ weight.T + bias`` with zero columns up to the padded width."""
    extra = padded(len(weight)) - len(weight)
    weight = F.pad(weight, (0, x.shape[-1] - weight.shape[1], 0, extra))
    return F.linear(x, weight.to(x.dtype), F.pad(bias, (0, extra)).to(x.dtype))


def padded(width: int) -> int:
    """The next width that matrix units like."""
    return -(-width // _WIDTH_MULTIPLE) * _WIDTH_MULTIPLE


def pad_columns(x: Float[Tensor, "n width"]) -> Float[Tensor, "n padded_width"]:
    """Zero columns up to the :func:`padded` width."""
    return F.pad(x, (0, padded(x.shape[-1]) - x.shape[-1]))


def pad_rows(x: Float[Tensor, "n width"]) -> Float[Tensor, "padded_n width"]:
    """On the CPU, zero rows up to a multiple of a block: oneDNN compiles a product anew for every number of rows it has not seen."""
    return x if x.is_cuda else F.pad(x, (0, 0, 0, -len(x) % _ROWS_MULTIPLE))


def _layers(width_in: int, width: int, n_layers: int, implementation: str) -> nn.Module:
    """Layers with relu; a single layer is too little for a tiny-cuda-nn network."""
    if implementation == "tcnn" and n_layers > 1:
        return _TcnnLayers(padded(width_in), width, n_layers)
    return _TorchLayers(width_in, width, n_layers)


class _TorchLayers(nn.Module):
    """Linear layers, each followed by relu. The input may carry zero columns at its end (see ``pad_columns``)."""

    def __init__(self, width_in: int, width: int, n_layers: int) -> None:
        super().__init__()
        widths = [width_in] + [width] * n_layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            x = F.relu_(_padded_product(x, layer.weight, layer.bias))[:, : layer.out_features]
        return x


class _TcnnLayers(nn.Module):
    """The same as a tiny-cuda-nn network (half precision, no biases)."""

    def __init__(self, width_in: int, width: int, n_layers: int) -> None:
        super().__init__()
        try:
            import tinycudann as tcnn  # type: ignore[import-not-found]
        except (ImportError, OSError) as e:  # tinycudann raises OSError where it finds no CUDA device
            raise InputError(
                f"field.implementation is 'tcnn', but tinycudann cannot be imported ({e}): install it, or use 'torch'"
            ) from e
        options = {
            "otype": "FullyFusedMLP" if width in (16, 32, 64, 128) else "CutlassMLP",
            "activation": "ReLU",
            "output_activation": "ReLU",
            "n_neurons": width,
            "n_hidden_layers": n_layers - 1,
        }
        self.network = tcnn.Network(n_input_dims=width_in, n_output_dims=width, network_config=options)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).to(x.dtype)


def _initialise_glorot(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
