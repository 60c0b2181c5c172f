"""From signed distances to opacity, as NeuS defines it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor


def sdf_optical_depths(
    sdf: Float[Tensor, "n_samples"],
    slopes: Float[Tensor, "n_samples"],
    widths: Float[Tensor, "n_samples"],
    inv_s: Float[Tensor, ""],
) -> Float[Tensor, "n_samples"]:
    r"""Optical depth :math:`\tau` of sections of a ray whose signed distance falls linearly, so that :math:`\alpha = 1 - e^{-\tau}`.

    With the logistic function :math:`\Phi_s(x) = 1 / (1 + e^{-s x})` and the distances at the two ends of a section,
    :math:`f_\pm = f \pm \tfrac{1}{2} m \delta` with the slope :math:`m = \min(\text{slope}, 0)`, NeuS's opacity is
    :math:`\alpha = \max((\Phi_s(f_-) - \Phi_s(f_+)) / \Phi_s(f_-), 0)`; hence :math:`\tau = \ln \Phi_s(f_-) - \ln \Phi_s(f_+)`, which needs
    no guard against division by zero.

    Args:
        sdf: distance f at the midpoint of each section, float32.
        slopes: derivative of the distance along the ray there; positive ones (the ray leaves the surface) count as 0.
        widths: length :math:`\delta` of each section >= 0, in the distance's unit.
        inv_s: s > 0, one number.

    Returns:
        :math:`\tau \ge 0`; finite where :math:`s f_\pm` is. Differentiable in all four.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Example:
        A section of length 2 straight through the surface: the distance falls from 1 to -1, and :math:`\ln \Phi(x) - \ln \Phi(-x) = x`.

        >>> depth = sdf_optical_depths(torch.tensor([0.0]), torch.tensor([-1.0]), torch.tensor([2.0]), torch.tensor(1.0))
        >>> round(depth.item(), 4)
        1.0

    Source: Wang et al., NeuS, 2021, equations 10 and 13, with the linear ends of their code.
    """
    sdf = require_tensor("sdf", sdf, torch.float32, (None,))
    slopes = require_tensor("slopes", slopes, torch.float32, (len(sdf),))
    widths = require_tensor("widths", widths, torch.float32, (len(sdf),))
    inv_s = require_tensor("inv_s", inv_s, torch.float32, ())
    require_same_device(sdf=sdf, slopes=slopes, widths=widths, inv_s=inv_s)
    half_fall = 0.5 * slopes.clamp(max=0.0) * widths
    # -ln Φ_s(x) = softplus(-s x)
    return F.softplus(-inv_s * (sdf + half_fall)) - F.softplus(-inv_s * (sdf - half_fall))


def anneal_slopes(slopes: Float[Tensor, "n_samples"], progress: float) -> Float[Tensor, "n_samples"]:
    r"""Slopes that are negative everywhere at the start of training: :math:`-(\max(\tfrac{1 - m}{2}, 0) (1 - p) + \max(-m, 0) p)`.

    So sections that face away get gradients too while the shape forms. Differentiable in ``slopes``.

    Args:
        slopes: derivative m of the distance along the rays.
        progress: p in [0, 1]; at 1 the result is :math:`\min(m, 0)`.

    Example:
        Straight towards the surface, and away from it at a slope of 1/2.

        >>> [anneal_slopes(torch.tensor([-1.0, 0.5]), progress).tolist() for progress in (0.0, 0.5)]
        [[-1.0, -0.25], [-1.0, -0.125]]

    Source: the code of Wang et al., NeuS, 2021 (``cos_anneal_ratio``).
    """
    return -(F.relu(0.5 - 0.5 * slopes) * (1.0 - progress) + F.relu(-slopes) * progress)
