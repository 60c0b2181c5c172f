"""Positional encoding."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings.base import Encoding, EncodingConfig


@dataclass
class FrequencyEncodingConfig(EncodingConfig):
    """Positional encoding of points in space."""

    _target: type = field(default_factory=lambda: FrequencyEncoding, kw_only=True)
    """target class to instantiate"""
    n_frequencies: int = 10
    """Octaves: 3 + 6 times as many features."""
    base_frequency: float = torch.pi
    """Angular frequency of the first octave."""

    def __post_init__(self) -> None:
        if self.n_frequencies < 0 or not self.base_frequency > 0:
            raise InputError(
                f"positional encoding: n_frequencies must be >= 0 and base_frequency > 0, got {self.n_frequencies} "
                f"and {self.base_frequency:g}"
            )


class FrequencyEncoding(Encoding):
    """:func:`encode` as a module; it learns nothing."""

    cones = "scales"

    def __init__(self, config: FrequencyEncodingConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def width(self) -> int:
        """``3 + 6 n_frequencies``."""
        return 3 + 6 * self.config.n_frequencies

    def forward(self, x: Float[Tensor, "n 3"], dtype: torch.dtype = torch.float32) -> Float[Tensor, "n width"]:
        """Features of positions in [-1, 1]^3."""
        return encode(x, self.config.n_frequencies, self.config.base_frequency).to(dtype)

    def backward(self, x: Float[Tensor, "n 3"], grad: Float[Tensor, "n width"]) -> Float[Tensor, "n 3"]:
        """:func:`encode_backward`."""
        return encode_backward(x, grad, self.config.n_frequencies, self.config.base_frequency)

    def damping(self, scales: Float[Tensor, "n"]) -> Float[Tensor, "n width"]:
        r""":math:`e^{-s^2 \omega^2 / 2}` for the sine and cosine of the angular frequency :math:`\omega`, exactly; 1 for x itself.

        Source: Barron et al., Mip-NeRF, 2021, equation 13, for a round Gaussian.
        """
        frequencies = _frequencies_of(scales, self.config.n_frequencies, self.config.base_frequency)
        octaves = torch.exp(-0.5 * (scales[:, None] * frequencies) ** 2).repeat_interleave(3, dim=-1)
        return torch.cat([torch.ones_like(octaves[:, :1]).expand(-1, 3), octaves, octaves], dim=-1)


def encode(
    x: Float[Tensor, "*batch d"], n_frequencies: int, base_frequency: float = torch.pi
) -> Float[Tensor, "*batch width"]:
    r"""Positional encoding :math:`(x, \sin(2^k \omega x), \cos(2^k \omega x))`, k = 0 .. n_frequencies-1; width d + 2 d n_frequencies.

    ``x`` should lie in [-1, 1]; :math:`\omega` is ``base_frequency``. Differentiable. Source: Mildenhall et al., NeRF, 2020, equation 4.
    """
    phases = _phases(x, n_frequencies, base_frequency).flatten(-2)
    return torch.cat([x, torch.sin(phases), torch.cos(phases)], dim=-1)


def encode_backward(
    x: Float[Tensor, "n 3"],
    grad: Float[Tensor, "n width"],
    n_frequencies: int,
    base_frequency: float = torch.pi,
) -> Float[Tensor, "n 3"]:
    """The gradient with respect to ``x`` of a scalar whose gradient with respect to ``encode(x)`` is ``grad``; itself differentiable."""
    frequencies = _frequencies_of(x, n_frequencies, base_frequency)[:, None]
    phases = _phases(x, n_frequencies, base_frequency)
    shape = (len(x), n_frequencies, 3)
    width = 3 * n_frequencies
    grad_sin, grad_cos = grad[:, 3 : 3 + width].reshape(shape), grad[:, 3 + width : 3 + 2 * width].reshape(shape)
    return grad[:, :3] + (frequencies * (torch.cos(phases) * grad_sin - torch.sin(phases) * grad_cos)).sum(-2)


def _phases(x: Tensor, n_frequencies: int, base_frequency: float) -> Tensor:
    return x[..., None, :] * _frequencies_of(x, n_frequencies, base_frequency)[:, None]


def _frequencies_of(x: Tensor, n_frequencies: int, base_frequency: float) -> Tensor:
    return _frequencies(n_frequencies, base_frequency, x.dtype, x.device)


@lru_cache(maxsize=32)
def _frequencies(n: int, base_frequency: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The same in each step, and nobody writes into it."""
    with torch.inference_mode(False):  # a training step may be the next to take them
        return base_frequency * 2.0 ** torch.arange(n, dtype=dtype, device=device)
