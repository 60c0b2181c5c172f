"""Image metrics, with LPIPS only where its weights can be had."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from nerfstudio.utils.rich_utils import CONSOLE
from torch import Tensor, nn


def psnr(image: Float[Tensor, "*shape"], rgb: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    r"""Peak signal-to-noise ratio in dB of values in [0, 1]: :math:`-10 \log_{10} \operatorname{MSE}`."""
    return -10.0 * torch.log10(F.mse_loss(image, rgb).clamp(min=1e-10))


@lru_cache(maxsize=1)
def lpips_model() -> nn.Module | None:
    """LPIPS (AlexNet), made at first use: its constructor downloads weights, which must not stop a training without a network."""
    try:
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        return LearnedPerceptualImagePatchSimilarity(normalize=True)
    except Exception as e:  # whatever the download or the cache raises
        CONSOLE.print(f"[yellow]LPIPS is left out of the metrics: its AlexNet weights cannot be loaded ({e}).[/yellow]")
        return None


def image_metrics(image: Float[Tensor, "h w 3"], rgb: Float[Tensor, "h w 3"]) -> dict[str, float]:
    """PSNR and, where the image is large enough, SSIM (its window goes 5 pixels over the edge, mirrored) and LPIPS, with its weights."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    batch = [x.moveaxis(-1, 0)[None].clamp(0.0, 1.0) for x in (image, rgb)]
    metrics = {"psnr": float(psnr(*batch))}
    if min(image.shape[:2]) > 5:
        metrics["ssim"] = float(structural_similarity_index_measure(batch[1], batch[0], data_range=1.0))  # type: ignore[arg-type]
    lpips = lpips_model() if min(image.shape[:2]) >= 32 else None
    if lpips is not None:
        metrics["lpips"] = float(lpips.to(image.device)(batch[1], batch[0]))
        lpips.reset()  # type: ignore[operator]
    return metrics
