"""TensoRF's factors of a tensor over space: vectors and matrices (VM), or vectors alone (CP)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings.factorised import FactorisedEncoding, FactorisedEncodingConfig
from nerf_plugins.ops import PlaneGroup

_GROUPS = {"vm": (((0, 1), (0, 2), (1, 2)), ((2,), (1,), (0,))), "cp": (((0,), (1,), (2,)),)}
_PRODUCTS = {"vm": ((0, 3), (1, 4), (2, 5)), "cp": ((0, 1, 2),)}


@dataclass
class TensorEncodingConfig(FactorisedEncodingConfig):
    """A tensor over space in factors."""

    _target: type = field(default_factory=lambda: TensorEncoding, kw_only=True)
    """target class to instantiate"""
    decomposition: Literal["vm", "cp"] = "vm"
    """vm: planes times lines, a product for each axis. cp: lines only, one product of three: much smaller, and needs many more features."""
    deviation: float = 0.1
    """Standard deviation of the numbers at the start. The paper's are 0.1, and 0.2 for cp."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.deviation > 0:
            raise InputError(
                f"planes: deviation must be > 0, a product of zeros learns nothing, got {self.deviation:g}"
            )


class TensorEncoding(FactorisedEncoding):
    r"""Components of a tensor, :math:`M^{XY}_r(x, y)\, v^Z_r(z)`, :math:`M^{XZ}_r v^Y_r` and :math:`M^{YZ}_r v^X_r` (vm), or
    :math:`v^X_r v^Y_r v^Z_r` (cp), of positions in [-1, 1]^3; their sum over r is the tensor's value.

    Source: Chen et al., TensoRF, 2022, section 3 and equation 10.
    """

    config: TensorEncodingConfig

    def groups_at(self, resolution: int) -> Sequence[PlaneGroup]:
        """The planes xy, xz and yz with the lines z, y and x; or the lines x, y and z."""
        groups = _GROUPS[self.config.decomposition]
        return [PlaneGroup(axes, (resolution,) * len(axes[0])) for axes in groups]

    @property
    def products(self) -> Sequence[Sequence[int]]:
        """Each plane times its line, or the three lines."""
        return _PRODUCTS[self.config.decomposition]

    def fill(self, planes: list[Float[Tensor, "..."]]) -> None:
        """Normal numbers."""
        for group in planes:
            group.normal_(0.0, self.config.deviation)
