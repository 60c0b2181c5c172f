"""What differs between photos of one scene: light, exposure, white balance, style. Only colours know of it, never a density or distance.

A field makes its appearance with :func:`make_appearance`, gives the colour network ``width`` more columns, :meth:`Appearance.inputs`, and
takes its colours through :meth:`Appearance.adjusted`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import Dataset
from nerf_plugins.fields.codes import ImageCodes
from nerf_plugins.rays import NOTHING, Needs, Points

Kind = Literal["none", "codes", "affine"]

EXPOSURE_SPREAD = 0.35
"""From this spread on, in stops (``data/exposure.py``), photos count as differently lit. Photos under one light, a camera's automatic
exposure included, showed 0.02 to 0.19 in six datasets; a room with other light and exposure in each photo 0.60."""


@dataclass(frozen=True)  # so that it can be a default, and runs without one in their config.yml still load
class AppearanceConfig:
    """What differs between the photos"""

    kind: Literal["auto", "none", "codes", "affine"] = "auto"
    """none: nothing. codes: a learnt code for each photo that the colour network sees, for other light or style.
    affine: a learnt 3x4 matrix for each photo that colours go through, for other exposure and white balance.
    auto: codes if photos from nearby differ in brightness by 0.35 stops or more (the median), else none.
    Where a checkpoint is loaded: what it has. The run's config.yml says what it has become."""
    width: int = 16
    """Numbers of a code."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"appearance: width must be >= 1, got {self.width}")

    def settled(self, dataset: Dataset) -> AppearanceConfig:
        """The same without "auto"."""
        if self.kind != "auto":
            return self
        spread = dataset.metadata.get("exposure_spread")
        differ = spread is not None and spread >= EXPOSURE_SPREAD
        return dataclasses.replace(self, kind="codes" if differ else "none")


class Appearance(nn.Module):
    """Photos that do not differ: adds nothing."""

    width: int = 0
    """Columns of :meth:`inputs`."""
    needs: Needs = NOTHING
    """What it asks of points."""

    def inputs(self, points: Points) -> tuple[Float[Tensor, "n width"], ...]:
        """What the colour network sees besides, in float32; none where the width is 0."""
        return ()

    def adjusted(self, colors: Float[Tensor, "n 3"], points: Points) -> Float[Tensor, "n 3"]:
        """The network's colours as the points' photos show them; may leave [0, 1]."""
        return colors


class CodeAppearance(Appearance):
    """A code for each photo that the colour network sees.

    Source: Bojanowski et al., Optimizing the Latent Space of Generative Networks, 2018 (GLO); Martin-Brualla et al., NeRF in the Wild,
    2021, section 4.1.
    """

    needs: Needs = frozenset({"camera_indices"})

    def __init__(self, n_images: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.codes = ImageCodes(n_images, width)

    def inputs(self, points: Points) -> tuple[Float[Tensor, "n width"], ...]:
        """The codes of the points' photos."""
        return (self.codes(points),)


class AffineAppearance(Appearance):
    r"""A matrix for each photo that colours go through: :math:`c' = (I + M) c + b`; :math:`M, b` start at 0.

    Source: Rematas et al., Urban Radiance Fields, 2022, section 3.2.
    """

    needs: Needs = frozenset({"camera_indices"})

    def __init__(self, n_images: int) -> None:
        super().__init__()
        self.codes = ImageCodes(n_images, 12, deviation=0.0)

    def adjusted(self, colors: Float[Tensor, "n 3"], points: Points) -> Float[Tensor, "n 3"]:
        """The colours through the matrices of the points' photos."""
        matrix, offset = self.codes(points).split([9, 3], dim=-1)
        return colors + (matrix.unflatten(-1, (3, 3)) * colors[:, None]).sum(-1) + offset


def make_appearance(config: AppearanceConfig, dataset: Dataset) -> Appearance:
    """What differs between the photos of a dataset.

    Raises:
        InputError: codes for fewer than two photos are asked for.
    """
    kind = config.settled(dataset).kind
    if kind == "none":
        return Appearance()
    if dataset.n_images < 2:
        raise InputError(
            f"appearance: kind {kind} tells photos apart, and there are {dataset.n_images} to train on: use none"
        )
    return CodeAppearance(dataset.n_images, config.width) if kind == "codes" else AffineAppearance(dataset.n_images)


def kind_of(model: nn.Module) -> Kind:
    """Of the first appearance in a model that is not "none"."""
    for module in model.modules():
        if isinstance(module, CodeAppearance):
            return "codes"
        if isinstance(module, AffineAppearance):
            return "affine"
    return "none"


def settle_appearance(config: Any, kind: Kind) -> list[str]:
    """Writes a kind, in place, wherever a configuration leaves it to "auto"; returns the options it was left open in, "a.b.kind".

    Args:
        config: a dataclass; others in it are looked through.
        kind: what it has become.
    """
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        return []
    found = []
    for option in dataclasses.fields(config):
        value = getattr(config, option.name, None)
        if isinstance(value, AppearanceConfig) and value.kind == "auto":
            setattr(config, option.name, dataclasses.replace(value, kind=kind))
            found.append(f"{option.name}.kind")
        else:
            found += [f"{option.name}.{name}" for name in settle_appearance(value, kind)]
    return found
