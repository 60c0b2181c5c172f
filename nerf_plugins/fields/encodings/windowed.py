"""Positional encoding that goes from coarse to fine: the octaves fade in one by one."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings.base import Encoding, EncodingConfig
from nerf_plugins.fields.encodings.frequency import encode


@dataclass
class WindowedEncodingConfig(EncodingConfig):
    """Positional encoding from coarse to fine."""

    _target: type = field(default_factory=lambda: WindowedEncoding, kw_only=True)
    """target class to instantiate"""
    n_frequencies: int = 6
    """Octaves: d + 2 d n_frequencies features of d coordinates."""
    start_frequencies: float = 0.0
    """Octaves that are there from the start; may lie between two."""
    share: float = 0.0
    """All octaves are there after this share of the training. 0: all are, from the start."""
    delay: float = 0.0
    """Up to this share of the training there are no more octaves than at the start."""
    keeps_input: bool = True
    """The coordinates themselves are among the features, always."""

    def __post_init__(self) -> None:
        if self.n_frequencies < 0 or self.start_frequencies < 0:
            raise InputError(
                f"windowed encoding: n_frequencies and start_frequencies must be >= 0, got {self.n_frequencies} "
                f"and {self.start_frequencies:g}"
            )
        if not 0 <= self.share <= 1:
            raise InputError(f"windowed encoding: share must be in [0, 1], got {self.share:g}")
        if self.delay < 0 or (self.delay and self.delay >= self.share):
            raise InputError(
                f"windowed encoding: delay must be >= 0 and below share, {self.share:g}, got {self.delay:g}"
            )
        if not self.keeps_input and self.n_frequencies == 0:
            raise InputError("windowed encoding: without octaves nothing is left but keeps_input: set it to True")


class WindowedEncoding(Encoding):
    r"""Features :math:`(x, w_k \sin(2^k \pi x), w_k \cos(2^k \pi x))`, k = 0 .. n_frequencies-1, of coordinates in [-1, 1].

    The windows are :math:`w_k = (1 - \cos(\pi\, \mathrm{clamp}(\alpha - k, 0, 1))) / 2`; :math:`\alpha`, the octaves that are there, rises
    linearly from ``start_frequencies`` to ``n_frequencies`` between ``delay`` and ``share`` of the training. Source: Park et al., Nerfies,
    2021, section 3.5 (equation 8); HyperNeRF, 2021, section 4.3 (the delay).

    Args:
        config: the options.
        n_coordinates: d.
    """

    windows: Tensor
    """(n_frequencies,): in a tensor, so that a recorded CUDA graph sees it change."""

    def __init__(self, config: WindowedEncodingConfig, n_coordinates: int = 3) -> None:
        super().__init__()
        self.config = config
        self.n_coordinates = n_coordinates
        self.register_buffer("windows", torch.ones(config.n_frequencies), persistent=False)
        self._alpha = float(config.n_frequencies)

    @property
    def width(self) -> int:
        """``d + 2 d n_frequencies``, or without the coordinates themselves d less."""
        return self.n_coordinates * (int(self.config.keeps_input) + 2 * self.config.n_frequencies)

    def set_progress(self, progress: float) -> None:
        """Sets the windows, without waiting for their device."""
        config = self.config
        span = config.share - config.delay
        done = 1.0 if span == 0 else min(max(progress - config.delay, 0.0) / span, 1.0)
        alpha = config.start_frequencies + done * (config.n_frequencies - config.start_frequencies)
        if alpha == self._alpha:  # most steps of most encodings: nothing is launched
            return
        self._alpha = alpha
        self.windows.copy_(windows(alpha, config.n_frequencies, self.windows.device))

    def forward(self, x: Float[Tensor, "n d"], dtype: torch.dtype = torch.float32) -> Float[Tensor, "n width"]:
        """Features of coordinates in [-1, 1]."""
        encoded = encode(x, self.config.n_frequencies)
        d = self.n_coordinates
        scales = torch.cat([encoded.new_ones(d), self.windows.to(encoded.dtype).repeat_interleave(d).repeat(2)])
        features = (encoded * scales).to(dtype)
        return features if self.config.keeps_input else features[:, d:]


def windows(alpha: float, n_frequencies: int, device: torch.device | None = None) -> Float[Tensor, "n_frequencies"]:
    r""":math:`w_k = (1 - \cos(\pi\, \mathrm{clamp}(\alpha - k, 0, 1))) / 2`: how much of each octave is there.

    Example:
        >>> windows(1.5, 3).tolist()
        [1.0, 0.5, 0.0]
    """
    open_to = (alpha - torch.arange(n_frequencies, dtype=torch.float64, device=device)).clamp(0.0, 1.0)
    return (0.5 * (1.0 - torch.cos(torch.pi * open_to))).float()
