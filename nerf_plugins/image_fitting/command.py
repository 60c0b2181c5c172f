"""`nerf-plugins fit-image`: from its options to files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.files.pictures import strip, to_bytes
from nerf_plugins.image_fitting.field import PictureField, picture_hash, picture_mlp
from nerf_plugins.image_fitting.fitting import Fit, Snapshot, fit_picture
from nerf_plugins.image_fitting.options import FitImageOptions
from nerf_plugins.image_fitting.pictures import demo_picture, read_picture, write_animation, write_curve


def run(options: FitImageOptions) -> int:
    """Fits the picture, and prints the files' paths; returns the exit code 0."""
    for path in fit_image(options):
        print(path)
    return 0


def fit_image(options: FitImageOptions) -> list[Path]:
    """Fits the picture and writes the results.

    Returns:
        The files: each picture, ``over_time.png`` (all in a row, the truth last), ``over_time.gif``, ``curve.png``, ``losses.csv``,
        ``pictures.csv`` and the weights, ``field.pt``.

    Raises:
        InputError: an option or the picture; nothing has been written then.
    """
    _check(options)
    device = _device(options.device)
    target = demo_picture(options.max_side) if options.image is None else read_picture(options.image, options.max_side)
    torch.manual_seed(options.seed)
    field, lr = _field(options, max(target.shape))
    with _new_folder(options.output_dir):
        fit = _fit_with_progress(field.to(device), target, lr, options)
        return write_results(fit, field, target, options.output_dir)


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Makes the folder now, so that it is known to be possible; whatever ends the work before anything is in it takes it away again."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InputError(f"--output-dir {folder}: cannot be made ({e.strerror}); give another") from e
    try:
        yield
    except BaseException:
        with suppress(OSError):  # not empty
            for path in made:
                path.rmdir()
        raise


def growing_steps(steps: int, count: int) -> list[int]:
    """0, then ``count`` - 1 numbers of steps that grow by one factor from about steps / 100 up to ``steps``; fewer if some are equal."""
    first = max(1.0, steps / 100)
    growth = (steps / first) ** (1 / max(count - 2, 1))
    return sorted({0, steps, *(round(first * growth**k) for k in range(count - 2))})


def write_results(fit: Fit, field: PictureField, target: Float[Tensor, "height width 3"], folder: Path) -> list[Path]:
    """Writes the files that :func:`fit_image` names into a folder."""
    pictures = [snapshot.picture for snapshot in fit.snapshots]
    paths = [folder / f"picture-{snapshot.step:06d}.png" for snapshot in fit.snapshots]
    for path, picture in zip([folder / "truth.png", *paths], [target, *pictures]):
        Image.fromarray(to_bytes(picture)).save(path)
    captions = [f"{snapshot.step}: {snapshot.psnr:.1f} dB" for snapshot in fit.snapshots]
    strip([*pictures, target], [*captions, "truth"]).save(folder / "over_time.png")
    write_animation(folder / "over_time.gif", pictures)
    write_curve(folder / "curve.png", fit)
    with (folder / "losses.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("step", "loss"), *enumerate(fit.losses.tolist(), start=1)])
    with (folder / "pictures.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [(x.step, f"{x.seconds:.3f}", f"{x.psnr:.4f}", path.name) for x, path in zip(fit.snapshots, paths)]
        csv.writer(file).writerows([("step", "seconds", "psnr", "file"), *rows])
    torch.save(field.state_dict(), folder / "field.pt")
    names = ("truth.png", "over_time.png", "over_time.gif", "curve.png", "losses.csv", "pictures.csv", "field.pt")
    return [*paths, *(folder / name for name in names)]


def _check(options: FitImageOptions) -> None:
    for name, least in (("steps", 1), ("pixels_per_step", 1), ("pictures", 2), ("max_side", 8)):
        if getattr(options, name) < least:
            raise InputError(f"--{name.replace('_', '-')} {getattr(options, name)}: give {least} or more")
    folder = options.output_dir
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(
            f"--output-dir {folder}: is already there, and nothing is overwritten; give another, or delete it"
        )


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch finds no CUDA device; leave it out, or see nerf-plugins doctor")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def _field(options: FitImageOptions, longer_side: int) -> tuple[PictureField, float]:
    """The chosen field and its learning rate."""
    if options.field == "mlp":
        return picture_mlp(options.mlp), options.mlp.lr
    return picture_hash(options.hash, longer_side), options.hash.lr


def _fit_with_progress(
    field: PictureField, target: Float[Tensor, "height width 3"], lr: float, options: FitImageOptions
) -> Fit:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("fitting", total=options.steps)

        def show(step: int, snapshot: Snapshot | None) -> None:
            description = "fitting" if snapshot is None else f"fitting, {snapshot.psnr:.1f} dB at {snapshot.step}"
            progress.update(task, completed=step, description=description)

        return fit_picture(
            field,
            target,
            steps=options.steps,
            snapshot_steps=growing_steps(options.steps, options.pictures),
            lr=lr,
            pixels_per_step=options.pixels_per_step,
            on_step=show,
        )
