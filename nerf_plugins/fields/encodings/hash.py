"""The multiresolution hash encoding as a module that owns its table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings.base import Encoding, EncodingConfig
from nerf_plugins.fields.tinycudann import import_tinycudann
from nerf_plugins.ops import HashLevels, hash_encode, hash_encode_backward, hash_levels

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass
class HashEncodingConfig(EncodingConfig):
    """The multiresolution hash encoding."""

    _target: type = field(default_factory=lambda: HashEncoding, kw_only=True)
    """target class to instantiate"""
    n_levels: int = 16
    """Number of levels."""
    base_resolution: int = 16
    """Cells along the cube's side in the coarsest level."""
    max_resolution: int = 2048
    """Cells along the cube's side in the finest level."""
    log2_table_size: int = 19
    """Finer levels than fit into 2^this entries share them."""
    n_features: Literal[1, 2, 4, 8] = 2
    """Features of an entry."""
    start_levels: int | None = None
    """Levels that are active from the start; the others join one by one while the field's progress goes from 0 to 1. None: all."""
    interpolation: Literal["linear", "smoothstep"] = "linear"
    """smoothstep has a continuous gradient."""
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    """What the table is read in; the learnt table and its gradient are fp32 whatever this is. fp16, the finer one, and bf16 read a copy.
    That takes half the memory traffic, on a CPU it does not pay (warp only)."""
    implementation: Literal["warp", "tcnn"] = "warp"
    """tcnn: tiny-cuda-nn's kernels on the same table (CUDA only); needs tinycudann."""

    def __post_init__(self) -> None:
        if self.n_features not in (1, 2, 4, 8):
            raise InputError(f"hash encoding: n_features must be 1, 2, 4 or 8, got {self.n_features}")
        if self.start_levels is not None and self.start_levels < 1:
            raise InputError(f"hash encoding: start_levels must be >= 1, got {self.start_levels}")
        if self.precision not in _DTYPES:
            raise InputError(f"hash encoding: precision must be fp32, fp16 or bf16, got {self.precision!r}")
        if self.implementation == "tcnn" and self.precision != "fp32":
            raise InputError(
                f"hash encoding: precision {self.precision} needs implementation 'warp', got 'tcnn': use 'warp', or precision fp32"
            )
        try:
            self.levels()
        except ValueError as e:
            raise InputError(f"hash encoding: {e}") from e

    @property
    def growth(self) -> float:
        """Ratio of a level's resolution to the one before."""
        return (self.max_resolution / self.base_resolution) ** (1 / max(self.n_levels - 1, 1))

    def levels(self) -> HashLevels:
        """How the levels lie in the table."""
        return hash_levels(self.n_levels, self.base_resolution, self.max_resolution, self.log2_table_size)


class HashEncoding(Encoding):
    """Features of positions in [-1, 1]^3, ``n_levels * n_features`` wide, from a learnt table (see :func:`ops.hash_encode`).

    Both implementations lay the table out alike, so a checkpoint of one serves the other.
    """

    cones = "scales"
    table: nn.Parameter
    one_half: Tensor
    n_active_levels: int
    """Finer levels than this give 0."""

    def __init__(self, config: HashEncodingConfig) -> None:
        super().__init__()
        self.config = config
        levels = config.levels()
        for name, value in levels._asdict().items():
            self.register_buffer(name, value, persistent=False)
        self.table = nn.Parameter(torch.empty(int(levels.offsets[-1]), config.n_features).uniform_(-1e-4, 1e-4))
        self.register_buffer("one_half", torch.tensor(0.5), persistent=False)
        self.n_active_levels = config.n_levels
        self._tcnn = _TcnnGrid(config, self.table.numel()) if config.implementation == "tcnn" else None

    @property
    def width(self) -> int:
        """Number of features of a position."""
        return self.config.n_levels * self.config.n_features

    def set_progress(self, progress: float) -> None:
        """From ``start_levels`` to all levels: each number of levels lasts as long, that of all of them too."""
        n_levels, start = self.config.n_levels, self.config.start_levels
        if start is not None and start < n_levels:
            self.n_active_levels = min(start + int(progress * (n_levels - start + 1)), n_levels)

    @property
    def stage(self) -> int:
        """The levels that are active."""
        return self.n_active_levels

    def forward(self, x: Float[Tensor, "n 3"], dtype: torch.dtype = torch.float32) -> Float[Tensor, "n width"]:
        """Features in that dtype, the next layer's; differentiable in the table and the positions, twice.

        Whatever the table's precision, the features' gradient arrives in that dtype too: most of a mean loss's is too small for float16.
        """
        if self._tcnn is not None:
            return self._tcnn(self._unit(x), self.table, self.n_active_levels).to(dtype)
        unit, options = self._unit(x), self._options()
        return hash_encode(unit, self.table, self._levels(), features_dtype=dtype, **options)

    def backward(self, x: Float[Tensor, "n 3"], grad: Float[Tensor, "n width"]) -> Float[Tensor, "n 3"]:
        """Gradient with respect to the positions, in float32, from that with respect to the features; itself differentiable."""
        grad = grad.float()
        if self._tcnn is not None:
            return 0.5 * self._tcnn.backward(self._unit(x), self.table, grad, self.n_active_levels)
        return 0.5 * hash_encode_backward(self._unit(x), self.table, grad, self._levels(), **self._options())

    def damping(self, scales: Float[Tensor, "n"]) -> Float[Tensor, "n width"]:
        r""":math:`\operatorname{erf}(1 / \sqrt{8 s^2 N_l^2})` for the features of level l, with the standard deviation s and :math:`N_l`
        cells along the unit of s. Source: Barron et al., Zip-NeRF, 2023, section 3.1.
        """
        cells = 0.5 * scales * self.scales[:, None]  # type: ignore[index]
        return (
            torch.erf(8**-0.5 / cells).repeat_interleave(self.config.n_features, dim=0).t()
        )  # laid out as features are

    def _unit(self, positions: Tensor) -> Tensor:
        return torch.add(self.one_half, positions, alpha=0.5)

    def _levels(self) -> HashLevels:
        return HashLevels(self.scales, self.resolutions, self.offsets)  # type: ignore[arg-type]

    def _options(self) -> dict:
        return {
            "n_active_levels": self.n_active_levels,
            "smoothstep": self.config.interpolation == "smoothstep",
            "table_dtype": _DTYPES[self.config.precision],
        }


class _TcnnGrid(nn.Module):
    """tiny-cuda-nn's grid encoding of positions in [0, 1]^3, without parameters of its own."""

    def __init__(self, config: HashEncodingConfig, n_parameters: int) -> None:
        super().__init__()
        tcnn = import_tinycudann("hash encoding: implementation", "warp")
        options = {
            "otype": "HashGrid",
            "n_levels": config.n_levels,
            "n_features_per_level": config.n_features,
            "log2_hashmap_size": config.log2_table_size,
            "base_resolution": config.base_resolution,
            "per_level_scale": config.growth,
            "interpolation": config.interpolation.capitalize(),
        }
        self.grid = tcnn.Encoding(n_input_dims=3, encoding_config=options, dtype=torch.float32)
        if self.grid.params.numel() != n_parameters:
            raise InputError(
                f"hash encoding: tinycudann's table has {self.grid.params.numel()} numbers where ours has {n_parameters}: "
                "use implementation 'warp', or another max_resolution"
            )
        del self.grid._parameters["params"]  # the table is handed in
        self.n_features = config.n_features

    def forward(self, positions: Tensor, table: Tensor, n_active_levels: int) -> Tensor:
        self.grid.params = table.view(-1)
        features = self.grid(positions.clamp(0.0, 1.0)).float()
        is_active = torch.arange(features.shape[-1], device=features.device) < n_active_levels * self.n_features
        return features * is_active

    def backward(self, positions: Tensor, table: Tensor, grad: Tensor, n_active_levels: int) -> Tensor:
        """Gradient with respect to the positions, from that with respect to the features."""
        with torch.enable_grad():
            positions = positions if positions.requires_grad else positions.detach().requires_grad_()
            features = self(positions, table, n_active_levels)
            return torch.autograd.grad(features, positions, grad, create_graph=True)[0]
