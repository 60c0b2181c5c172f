"""Pictures in and out: reading one, the demo scene's, an animation, curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from nerf_plugins.errors import InputError, near_path
from nerf_plugins.files.pictures import to_bytes
from nerf_plugins.image_fitting.fitting import Fit
from nerf_plugins.images.reading import read_image
from nerf_plugins.scenes import Camera, demo_scene, render
from nerf_plugins.scenes.cameras import look_at


def read_picture(path: Path, max_side: int) -> Float[Tensor, "height width 3"]:
    """A picture file in [0, 1]: turned as its EXIF tag says, over white where it is transparent, shrunk to ``max_side``.

    Raises:
        InputError: there is no such file, or no picture in it.
    """
    if not path.is_file():
        raise InputError(
            f"--image {path}: there is no such file{near_path(path)}; give a picture, or leave it out for the demo scene"
        )
    picture = Image.fromarray(read_image(path)).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture).convert("RGB")
    if max(picture.size) > max_side:
        scale = max_side / max(picture.size)
        picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)  # type: ignore[arg-type]
    return torch.from_numpy(np.array(picture)) / 255.0


def demo_picture(side: int) -> Float[Tensor, "side side 3"]:
    """A view of the demo scene over white."""
    pose = look_at(np.array([2.2, -1.7, 1.5]), np.array([0.0, 0.0, -0.04]))
    rgba = render(demo_scene(), Camera.centred(pose, 1.6 * side, side, side), supersample=2)
    return torch.from_numpy(rgba[..., :3] * rgba[..., 3:] + 1.0 - rgba[..., 3:]).float()


def write_animation(path: Path, pictures: Sequence[Float[Tensor, "height width 3"]], milliseconds: int = 400) -> None:
    """An endless GIF that rests on the last picture."""
    frames = [Image.fromarray(to_bytes(picture)) for picture in pictures]
    durations = [milliseconds] * (len(frames) - 1) + [4 * milliseconds]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0)


def write_curve(path: Path, fit: Fit) -> None:
    """Loss of each step, and PSNR of the whole picture over the steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.semilogy(range(1, len(fit.losses) + 1), fit.losses.numpy(), linewidth=0.8)
    left.set(xlabel="step", ylabel="mean squared error of a step's pixels")
    right.plot([x.step for x in fit.snapshots], [x.psnr for x in fit.snapshots], marker="o")
    right.set(xlabel="steps so far", ylabel="PSNR of the whole picture, dB")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path)
