"""Warps by a network of position and time, and what holds them together."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.drawing import draw_by_weight
from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import NO_DATASET, Dataset
from nerf_plugins.fields.codes import TimeCodes
from nerf_plugins.fields.encodings import WindowedEncoding, WindowedEncodingConfig
from nerf_plugins.fields.layers import SkipLayers, first_rows, linear, pad_columns, pad_rows, push_forward_linear
from nerf_plugins.fields.precision import resolve_precision
from nerf_plugins.fields.warps.base import Warp, WarpConfig, start_small
from nerf_plugins.fields.warps.regularisers import BACKGROUND_SCALE, ELASTIC_SCALE, robust
from nerf_plugins.ops import log_strain
from nerf_plugins.rays import Points


@dataclass
class NetworkWarpConfig(WarpConfig):
    """A warp by a network."""

    code_width: int = 0
    """Numbers of a learnt code of each photo's time, in place of the encoded time. 0: the encoded time."""
    elastic_mult: float = 0.0
    """Weight of the elastic loss: as rigid as the photos allow, where something is seen. 0: none."""
    elastic_share: float = 0.0625
    """Its number of points, as a share of a step's samples; they are drawn by their rendering weights."""
    background_mult: float = 0.0
    """Weight of the loss that keeps points in their place of which the dataset says that they do not move. 0: none."""
    n_background: int = 512
    """Such points in each step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("code_width", "elastic_mult", "background_mult"):
            if getattr(self, name) < 0:
                raise InputError(f"warp: {name} must be >= 0, got {getattr(self, name)}")
        if not 0 < self.elastic_share <= 1 or not self.n_background >= 1:
            raise InputError(
                f"warp: elastic_share must be in (0, 1] and n_background >= 1, got {self.elastic_share:g} and {self.n_background}"
            )


class NetworkWarp(Warp):
    """A network of position and time says what :meth:`move` is to do with each point.

    Args:
        config: the options.
        dataset: what is known of the photos.
        n_outputs: numbers that ``move`` asks of the network.
    """

    background: Tensor
    photo_times: Tensor

    def __init__(self, config: NetworkWarpConfig, dataset: Dataset, n_outputs: int) -> None:
        super().__init__()
        self.config = config
        self.network = WarpNetwork(config, n_outputs, dataset)
        background = torch.zeros(0, 3) if dataset.background is None else dataset.background
        self.register_buffer("background", background, persistent=False)
        times = torch.zeros(1) if dataset.times is None else dataset.times
        self.register_buffer("photo_times", times, persistent=False)

    @abstractmethod
    def move(
        self, x: Float[Tensor, "*batch n 3"], outputs: Float[Tensor, "*batch n k"], points: Points
    ) -> Float[Tensor, "*batch n 3"]:
        """Where positions x go by the network's outputs.

        Args:
            x: the positions of n points, or several sets of them.
            outputs: the network's for each.
            points: what else is known of the n points.
        """

    def forward(self, points: Points) -> Float[Tensor, "n 3"]:
        """See :class:`Warp`."""
        return self.move(points.positions, self.network(points), points)

    def jacobians(self, points: Points) -> Float[Tensor, "n 3 3"]:
        r""":math:`\partial T_i / \partial x_j` at each point, in one pass (forward mode); differentiable in the parameters."""
        outputs, derivatives = self.network.push_forward(points)
        x = points.positions
        unit = torch.eye(3, dtype=x.dtype, device=x.device)[:, None].repeat(1, len(x), 1)
        at = x.repeat(3, 1, 1), outputs.repeat(3, 1, 1)
        columns = torch.func.jvp(lambda x, outputs: self.move(x, outputs, points), at, (unit, derivatives))[1]
        return columns.permute(1, 2, 0)

    def losses(self, points: Points, weights: Float[Tensor, "n"]) -> dict[str, Tensor]:
        """The elastic loss and that of the background, where they are wanted."""
        config, losses = self.config, {}
        if config.elastic_mult > 0:
            n_rays = len(points.times) if points.times is not None else 1
            n_chosen = math.ceil(config.elastic_share * len(weights))
            chosen, share = draw_by_weight(weights.detach(), n_chosen)
            strain = log_strain(self.jacobians(points.part(chosen)))
            losses["elastic_loss"] = (
                config.elastic_mult / max(n_rays, 1) * (share * robust(strain, ELASTIC_SCALE)).sum()
            )
        if config.background_mult > 0 and len(self.background):
            losses["background_loss"] = config.background_mult * self._background_loss()
        return losses

    def _background_loss(self) -> Tensor:
        """Mean over random background points at the times of random photos."""
        n, device = self.config.n_background, self.background.device
        which = torch.randint(len(self.background), (n,), device=device)
        when = torch.randint(len(self.photo_times), (n,), device=device)
        points = Points(self.background.index_select(0, which), times=self.photo_times.index_select(0, when))
        return robust((self(points) - points.positions).square().sum(-1), BACKGROUND_SCALE).mean()


class EncodedTime(nn.Module):
    """The windowed encoding of the time, as features of points."""

    def __init__(self, config: WindowedEncodingConfig) -> None:
        super().__init__()
        self.encoding = WindowedEncoding(config, 1)
        self.width = self.encoding.width

    def forward(self, points: Points) -> Float[Tensor, "n width"]:
        """Of each point's time, which is taken to [-1, 1] as all coordinates are."""
        assert points.times is not None, "a warp needs times"
        return points.encoded(self.encoding, 2.0 * points.times[:, None] - 1.0)


class WarpNetwork(nn.Module):
    """A network of encoded position and of the time; it starts with outputs near 0, so that a warp starts as the identity.

    Args:
        config: of the warp.
        n_outputs: numbers for each point.
        dataset: whose photos' times have codes.
    """

    def __init__(self, config: NetworkWarpConfig, n_outputs: int, dataset: Dataset = NO_DATASET) -> None:
        super().__init__()
        self.config = config
        self.position = WindowedEncoding(config.position, 3)
        self.time = TimeCodes(dataset, config.code_width) if config.code_width else EncodedTime(config.time)
        self.layers = SkipLayers(self.position.width + self.time.width, config.W, config.D, config.skips)
        self.head = start_small(nn.Linear(config.W, n_outputs))

    def forward(self, points: Points) -> Float[Tensor, "n n_outputs"]:
        """Its outputs in float32."""
        n, dtype = len(points.positions), resolve_precision(self.config.precision, points.positions.device)
        times = pad_rows(self.time(points)).to(dtype)
        inputs = torch.cat([self.position(pad_rows(points.positions), dtype), times], dim=-1)
        (outputs,) = linear(self.layers(pad_columns(inputs)), self.head)
        return first_rows(outputs.float(), n)

    def push_forward(self, points: Points) -> tuple[Float[Tensor, "n n_outputs"], Float[Tensor, "3 n n_outputs"]]:
        """Its outputs and their derivatives along the three axes, in float32; both are differentiable in the parameters."""
        x, dtype = points.positions, resolve_precision(self.config.precision, points.positions.device)
        unit = torch.eye(3, dtype=x.dtype, device=x.device).repeat_interleave(len(x), 0)
        slopes = torch.func.jvp(self.position, (x.repeat(3, 1),), (unit,))[1].unflatten(0, (3, len(x)))
        inputs = pad_columns(torch.cat([self.position(x), self.time(points)], dim=-1)).to(dtype)
        slopes = F.pad(slopes, (0, inputs.shape[-1] - slopes.shape[-1])).to(dtype)
        outputs, derivatives = push_forward_linear(*self.layers.push_forward(inputs, slopes), self.head)
        return outputs.float(), derivatives.float()
