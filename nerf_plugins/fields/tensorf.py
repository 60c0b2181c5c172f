"""TensoRF: density and appearance from factorised tensors, colour by a small shader."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Parameter

from nerf_plugins.errors import InputError
from nerf_plugins.fields.activations import softplus
from nerf_plugins.fields.appearance import AppearanceConfig, make_appearance
from nerf_plugins.fields.base import NO_DATASET, Dataset, Parts, RadianceField, RadianceFieldConfig, split_parts
from nerf_plugins.fields.encodings import EncodingConfig, SphericalHarmonicsConfig, TensorEncoding, TensorEncodingConfig
from nerf_plugins.fields.layers import LinearLayers, first_rows, linear, pad_columns, pad_rows
from nerf_plugins.fields.plane_losses import mean_size, total_variation
from nerf_plugins.fields.precision import Precision, resolve_precision
from nerf_plugins.rays import Points


@dataclass
class TensoRFConfig(RadianceFieldConfig):
    """TensoRF's field."""

    _target: type = field(default_factory=lambda: TensoRF, kw_only=True)
    """target class to instantiate"""
    density_tensor: TensorEncodingConfig = field(default_factory=lambda: TensorEncodingConfig(n_features=8))
    """The tensor whose value is the density."""
    appearance_tensor: TensorEncodingConfig = field(default_factory=lambda: TensorEncodingConfig(n_features=16))
    """The tensor whose components the shader sees."""
    directions: EncodingConfig = field(default_factory=SphericalHarmonicsConfig)
    """The encoding of the view direction."""
    appearance: AppearanceConfig = AppearanceConfig()  # noqa: RUF009 - frozen
    """What differs between the photos: light, exposure, style; seen by the colour alone."""
    width: int = 64
    """Width of the shader's hidden layers."""
    n_layers: int = 2
    """Hidden layers of the shader."""
    density_shift: float = -10.0
    """The density is softplus(tensor + this), times the next. Before anything is learnt there is hardly any."""
    density_scale: float = 25.0
    """Density of a tensor value of 1 above the shift, in 1 / unit of the space."""
    sparsity_mult: float = 8e-5
    """Weight of the mean size of the density's numbers (L1): most of space is empty."""
    density_tv_mult: float = 0.0
    """Weight of the total variation of the density's planes and lines; helps where few photos see a place, as in forward-facing scenes."""
    appearance_tv_mult: float = 0.0
    """Weight of the total variation of the appearance's planes and lines."""
    precision: Precision = "auto"
    """Arithmetic of the shader. auto: bf16 where the device multiplies it faster, else fp32. Tensors are fp32."""

    def __post_init__(self) -> None:
        for name in ("width", "n_layers"):
            if getattr(self, name) < 1:
                raise InputError(f"field: {name} must be >= 1, got {getattr(self, name)}")
        for name in ("sparsity_mult", "density_tv_mult", "appearance_tv_mult"):
            if getattr(self, name) < 0:
                raise InputError(f"field: {name} must be >= 0, got {getattr(self, name):g}")
        if not self.density_scale > 0:
            raise InputError(f"field: density_scale must be > 0, got {self.density_scale:g}")


class TensoRF(RadianceField):
    r"""Density :math:`s\, \mathrm{softplus}(\sum_r A_{\sigma,r}(x) + b)`, colour :math:`S([A_{c,r}(x)]_r, d)` with a small network S.

    The paper's matrix of the appearance's basis is the first layer of S. Source: Chen et al., TensoRF, 2022, section 4 (equation 11).
    """

    def __init__(self, config: TensoRFConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__()
        self.config = config
        self.density_tensor: TensorEncoding = config.density_tensor.setup()
        self.appearance_tensor: TensorEncoding = config.appearance_tensor.setup()
        self.directions = config.directions.setup()
        self.appearance = make_appearance(config.appearance, dataset)
        self.needs = self.needs | self.appearance.needs
        seen = self.appearance_tensor.width + self.appearance.width + self.directions.width
        self.shader = LinearLayers(seen, config.width, config.n_layers)
        self.color_head = nn.Linear(config.width, 3)

    def param_groups(self) -> dict[str, list[Parameter]]:
        """ "tensors" learn much faster than the shader, "fields"."""
        tensors = [self.density_tensor.table, self.appearance_tensor.table]
        others = (self.shader, self.color_head, self.appearance)
        return {"tensors": tensors, "fields": [p for module in others for p in module.parameters()]}

    def parts(self) -> Parts:
        """The density has a tensor of its own."""
        return split_parts(self, color=[self.appearance_tensor, self.appearance, self.shader, self.color_head])

    def density(self, points: Points) -> Float[Tensor, "n"]:
        """Densities; see :class:`RadianceField`."""
        value = self.density_tensor(points.positions).sum(-1)
        return self.config.density_scale * softplus(value + self.config.density_shift)

    def forward(self, points: Points) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Densities and colours; see :class:`RadianceField`."""
        assert points.directions is not None
        dtype = resolve_precision(self.config.precision, points.positions.device)
        encoded = points.encoded(lambda d: self.directions(d, dtype), points.directions)
        features = self.appearance_tensor(points.positions, dtype)
        of_photos = [x.to(dtype) for x in self.appearance.inputs(points)]
        seen = pad_rows(pad_columns(torch.cat([features, *of_photos, encoded], dim=-1)))
        (color,) = linear(self.shader(seen), self.color_head)
        colors = first_rows(torch.sigmoid(color.float()), len(points.positions))
        return self.density(points), self.appearance.adjusted(colors, points)

    def losses(self, points: Points, weights: Float[Tensor, "n"]) -> dict[str, Tensor]:
        """``sparsity``, ``density_tv`` and ``appearance_tv``, those with a weight."""
        config, losses = self.config, {}
        if config.sparsity_mult > 0:
            losses["sparsity"] = config.sparsity_mult * mean_size(self.density_tensor.planes)
        if config.density_tv_mult > 0:
            losses["density_tv"] = config.density_tv_mult * total_variation(self.density_tensor.planes)
        if config.appearance_tv_mult > 0:
            losses["appearance_tv"] = config.appearance_tv_mult * total_variation(self.appearance_tensor.planes)
        return losses
