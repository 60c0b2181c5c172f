"""A surface given by a function: what a trained model hands to whoever wants its mesh."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class ImplicitSurface(NamedTuple):
    """The points of a box where a function crosses a level. Positions are those of the model's scene, not of the input data."""

    value: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]]
    """The function, without gradient; smaller inside than outside, as a signed distance is."""
    level: float
    """Its value on the surface."""
    aabb: Float[Tensor, "2 3"]
    """(min, max) corner of the box, on the model's device."""
    color: Callable[[Float[Tensor, "n 3"], Float[Tensor, "n 3"]], Float[Tensor, "n 3"]]
    """Colour in [0, 1] of points seen along unit directions (from the eye to the point), without gradient."""
