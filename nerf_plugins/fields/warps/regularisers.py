"""What the losses of warps are made of."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

ELASTIC_SCALE = 0.03
"""Of the logarithm of a stretch: more than about 3 % of it counts as meant."""
BACKGROUND_SCALE = 1e-3
"""Of a distance, in the field's units."""


def robust(squared: Float[Tensor, "n"], scale: float) -> Float[Tensor, "n"]:
    r"""Geman and McClure's loss of residuals: :math:`2 c s / (s + 4 c^2)`, of squared residuals s at a scale c.

    At first :math:`s / (2 c)`, and never more than 2 c, so what is far off pulls no harder than what is near; its slope is bounded by
    1 / (2 c). Source: Park et al., Nerfies, 2021, equation 7; times c, as the authors' code has it.

    Example:
        >>> robust(torch.tensor([0.0, 4.0, 1e12]), 1.0).tolist()
        [0.0, 1.0, 2.0]
    """
    return 2.0 * scale * squared / (squared + 4.0 * scale * scale)
