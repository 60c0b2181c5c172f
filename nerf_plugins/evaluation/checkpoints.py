"""Evaluates the checkpoints of a run on its held-out images, as `ns-eval` does, but image by image."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.configs.method_configs import all_methods
from nerfstudio.utils import colormaps
from nerfstudio.utils.eval_utils import eval_load_checkpoint
from torch import Tensor

from nerf_plugins.data.names import dataset_folder, image_names
from nerf_plugins.files.pictures import strip
from nerf_plugins.runs.search import FoundRun

ERROR_AT_FULL_SCALE = 0.25
"""Mean absolute error of a pixel's channels that has the error map's last colour."""


@dataclass
class Evaluation:
    """What a checkpoint reached."""

    run: FoundRun
    steps: int
    """After how many steps the checkpoint was saved."""
    n_images: int
    """Number of images that the run was trained on."""
    facts: dict[str, float] = field(default_factory=dict)
    """Of the training: train_seconds, train_peak_mib, occupied_fraction; what is not known is missing."""
    images: dict[str, dict[str, float]] = field(default_factory=dict)
    """For each held-out image the model's metrics (psnr, ssim, lpips where it can be had, ...), rays_per_s and fps."""

    sizes: dict[str, str] = field(default_factory=dict)
    """Of each held-out image, WIDTHxHEIGHT."""

    @property
    def checkpoint(self) -> Path:
        """The file."""
        return self.run.folder.checkpoint(self.steps)

    def mean(self, size: str | None = None) -> dict[str, float]:
        """The metrics' means over the images.

        Args:
            size: only over those of this size.
        """
        chosen = [m for image, m in self.images.items() if size is None or self.sizes.get(image) == size]
        names = dict.fromkeys(name for metrics in chosen for name in metrics)
        return {name: float(np.mean([m[name] for m in chosen if name in m])) for name in names}


def evaluate_run(run: FoundRun, steps: Sequence[int], n_pictures: int, pictures: Path) -> Iterator[Evaluation]:
    """Evaluates checkpoints of one run one after the other; its data are read once, and no other checkpoint is looked at.

    Args:
        run: with its config.
        steps: after so many steps each.
        n_pictures: of how many images, evenly spread, pictures are written.
        pictures: folder for ``steps-N/IMAGE.png``.

    Raises:
        SystemExit, Exception: whatever the method's pipeline raises where its data or a checkpoint are at fault.
    """
    config, pipeline = _set_up(run)
    for n in steps:
        config.load_step = n - 1
        eval_load_checkpoint(config, pipeline)
        yield evaluate_checkpoint(run, n, pipeline, n_pictures, pictures / f"steps-{n}")


def _set_up(run: FoundRun) -> tuple[Any, Any]:
    """Config and pipeline as nerfstudio's ``eval_setup`` makes them, which would refuse a folder for one truncated checkpoint."""
    config = copy.deepcopy(run.config)
    config.load_dir = run.folder.path / run.folder.models
    config.pipeline.datamanager._target = all_methods[config.method_name].pipeline.datamanager._target
    pipeline = config.pipeline.setup(device="cuda" if torch.cuda.is_available() else "cpu", test_mode="test")
    pipeline.eval()
    return config, pipeline


@torch.no_grad()
def evaluate_checkpoint(run: FoundRun, steps: int, pipeline: Any, n_pictures: int, pictures: Path) -> Evaluation:
    """Evaluates a loaded pipeline. ``rays_per_s`` and ``fps`` are those of rendering alone."""
    pipeline.eval()
    manager = pipeline.datamanager
    evaluation = Evaluation(run, steps, len(manager.train_dataset), _facts(run, steps, pipeline))
    loader = manager.fixed_indices_eval_dataloader
    names = image_names(list(manager.eval_dataset.image_filenames), dataset_folder(manager.config))
    chosen = set(np.linspace(0, len(loader) - 1, min(n_pictures, len(loader))).round().astype(int).tolist())
    for i, (camera, batch) in enumerate(loader):
        if i == 0:
            _warm_up(pipeline.model, camera)
        name = names[int(batch["image_idx"])]
        start = time.perf_counter()
        outputs = pipeline.model.get_outputs_for_camera(camera)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        metrics, images = pipeline.model.get_image_metrics_and_images(outputs, batch)
        n_rays = float(camera.height * camera.width)
        evaluation.sizes[name] = f"{int(camera.width)}x{int(camera.height)}"
        evaluation.images[name] = {**metrics, "rays_per_s": n_rays / seconds, "fps": 1.0 / seconds}
        if i in chosen:
            write_comparison(pictures / f"{_as_file_name(Path(name).with_suffix('').as_posix())}.png", outputs, images)
    return evaluation


def write_comparison(path: Path, outputs: dict[str, Tensor], images: dict[str, Tensor]) -> None:
    """Writes truth, render, error, depth and normals side by side; what a model does not give is left out.

    Args:
        path: of the PNG.
        outputs: of the model; "normals" in [0, 1].
        images: as nerfstudio's models give them: "img" has the truth at the left and the render at the right.
    """
    truth, render = images["img"].cpu().clamp(0.0, 1.0).chunk(2, dim=1)
    error = (truth - render).abs().mean(-1, keepdim=True)
    columns = {"truth": truth, "render": render, f"error, 0 to {ERROR_AT_FULL_SCALE}": _error_map(error)}
    for name in ("depth", "normals"):
        picture = images.get(name, outputs.get(name))
        if picture is not None and picture.shape == truth.shape:
            columns[name] = picture.cpu()
    path.parent.mkdir(parents=True, exist_ok=True)
    strip(list(columns.values()), list(columns)).save(path)


def _error_map(error: Float[Tensor, "height width 1"]) -> Float[Tensor, "height width 3"]:
    return colormaps.apply_float_colormap((error / ERROR_AT_FULL_SCALE).clamp(0.0, 1.0), colormap="inferno")


def _facts(run: FoundRun, steps: int, pipeline: Any) -> dict[str, float]:
    """The pipelines of this package remember them; of others only a sweep's logs tell how long their processes took."""
    seconds, peak = getattr(pipeline, "train_seconds", None), getattr(pipeline, "train_peak_mib", 0.0)
    if not hasattr(pipeline, "train_seconds"):
        seconds = run.folder.seconds(steps) if run.folder.logs() else None
    facts = {} if seconds is None else {"train_seconds": seconds}
    facts |= {"train_peak_mib": peak} if peak else {}
    sampler = getattr(pipeline.model, "sampler", None)
    shown = {} if sampler is None or not hasattr(sampler, "metrics") else sampler.metrics()
    return facts | {name: float(value) for name, value in shown.items()}


def _warm_up(model: Any, camera: Any) -> None:
    """A small picture first, so that what is loaded at the first use is not counted as rendering."""
    small = copy.deepcopy(camera)
    small.rescale_output_resolution(32.0 / float(max(camera.height, camera.width)))
    model.get_outputs_for_camera(small)


def picture_folders(runs: Sequence[FoundRun]) -> list[str]:
    """A folder's name for each run; runs that are called the same, as copies are, are numbered."""
    names = [_as_file_name(run.name) for run in runs]
    return [name if names.count(name) == 1 else f"{name}-{names[:i].count(name) + 1}" for i, name in enumerate(names)]


def _as_file_name(name: str) -> str:
    return re.sub(r"[^\w.=,-]+", "_", name).strip("_")
