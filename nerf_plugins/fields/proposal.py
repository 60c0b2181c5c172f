"""The small field of the proposal sampler: density only."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from nerfstudio.configs.base_config import InstantiateConfig
from nerfstudio.field_components.activations import trunc_exp
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import Field
from nerf_plugins.fields.encodings import Encoding, EncodingConfig, HashEncodingConfig, cones_of
from nerf_plugins.fields.layers import LinearLayers, encode_points, linear, pad_columns
from nerf_plugins.fields.precision import Precision, resolve_precision
from nerf_plugins.rays import NOTHING, Needs, Points


@dataclass
class ProposalFieldConfig(InstantiateConfig):
    """A density without colour."""

    _target: type = field(default_factory=lambda: ProposalField, kw_only=True)
    """target class to instantiate"""
    encoding: EncodingConfig = field(
        default_factory=lambda: HashEncodingConfig(n_levels=5, max_resolution=256, log2_table_size=15)
    )
    """The encoding of the position."""
    width: int = 16
    """Width of the hidden layers."""
    n_layers: int = 1
    """Hidden layers."""
    cones: bool = True
    """Take the size of a pixel's cone into account: features of what is smaller than a sample's piece of it are damped."""
    density_bias: float = -1.0
    """The density starts as about exp(this)."""
    precision: Precision = "auto"
    """Arithmetic of the layers. auto: bf16 where the device multiplies it faster, else fp32."""

    def __post_init__(self) -> None:
        for name in ("width", "n_layers"):
            if getattr(self, name) < 1:
                raise InputError(f"proposal field: {name} must be >= 1, got {getattr(self, name)}")


class ProposalField(Field):
    """Density from the encoded position by hidden layers; exp of the network's output, whose gradient is clipped."""

    def __init__(self, config: ProposalFieldConfig) -> None:
        super().__init__()
        self.config = config
        self.encoding: Encoding = config.encoding.setup()
        self.needs: Needs = cones_of(self.encoding) if config.cones else NOTHING
        self.layer = LinearLayers(self.encoding.width, config.width, config.n_layers)
        self.head = nn.Linear(config.width, 1)

    def density(self, points: Points) -> Float[Tensor, "n"]:
        """Density >= 0, in 1 / unit of the space that the samples are marched in."""
        dtype = resolve_precision(self.config.precision, points.positions.device)
        (raw,) = linear(self.layer(pad_columns(encode_points(self.encoding, points, dtype))), self.head)
        return trunc_exp(raw.float().squeeze(-1) + self.config.density_bias)[: len(points.positions)]
