"""The ``nerf-plugins`` command. A subcommand is a function that returns the exit code and imports what it needs."""

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated

import tyro

from nerf_plugins.camera_paths.options import CameraPathOptions
from nerf_plugins.captures.options import ProcessDataOptions
from nerf_plugins.errors import InputError
from nerf_plugins.experiments.metrics_options import MetricsOptions
from nerf_plugins.experiments.sweep_options import SweepOptions
from nerf_plugins.export.options import MeshOptions
from nerf_plugins.image_fitting.options import FitImageOptions


def doctor(as_json: Annotated[bool, tyro.conf.arg(name="json")] = False) -> int:
    """Show what this machine has, which backend each part will use, and what to do about what is missing.

    The exit code is 0 if our methods can be trained here, else 1.

    Args:
        as_json: Print JSON, for programs.
    """
    from rich.console import Console

    from nerf_plugins.doctor import examine, show

    with Console(file=sys.stderr).status("checking; importing nerfstudio takes a while"):
        report = examine()
    show(report, as_json=as_json)
    return 0 if report.can_run else 1


def mesh(options: Annotated[MeshOptions, tyro.conf.arg(name="")]) -> int:
    """Write the surface that a trained model has learnt as a mesh, in the input data's world units."""
    warnings.simplefilter("ignore", FutureWarning)  # of nerfstudio's and torch's imports, nothing the user can mend

    from nerf_plugins.export.checkpoint import export_mesh

    for path in export_mesh(options):
        print(path)
    return 0


def camera_path(options: Annotated[CameraPathOptions, tyro.conf.arg(name="")]) -> int:
    """Write a camera path for `ns-render camera-path` and the viewer, and say how new its views are."""
    warnings.simplefilter("ignore", FutureWarning)
    warnings.filterwarnings("ignore", "Using a non-tuple sequence")  # nerfstudio's cameras, at every call

    from nerf_plugins.camera_paths.making import write_camera_path

    print(write_camera_path(options))
    return 0


def fit_image(options: Annotated[FitImageOptions, tyro.conf.arg(name="")]) -> int:
    """Let a field learn one picture, (x, y) to colour: its loss curve, and the picture over time."""
    from nerf_plugins.image_fitting.command import fit_image

    for path in fit_image(options):
        print(path)
    return 0


def sweep(options: Annotated[SweepOptions, tyro.conf.arg(name="")]) -> int:
    """Train a grid of runs from a recipe: methods, numbers of images, seeds, steps and any option. Called again, it goes on where it was.

    The exit code is 0 if every checkpoint is there, else 1.
    """
    warnings.simplefilter("ignore", FutureWarning)

    from nerf_plugins.experiments.sweep import sweep

    path, is_complete = sweep(options)
    if not options.dry_run:
        print(path)
    return 0 if is_complete else 1


def metrics(options: Annotated[MetricsOptions, tyro.conf.arg(name="")]) -> int:
    """Evaluate many runs and checkpoints on their held-out images: one CSV, one markdown table, plots and pictures side by side.

    The exit code is 0 if every run could be evaluated, else 1.
    """
    warnings.simplefilter("ignore")

    from nerf_plugins.experiments.metrics import metrics

    paths, failures = metrics(options)
    for path in paths:
        print(path)
    return 1 if failures else 0


def process_data(options: Annotated[ProcessDataOptions, tyro.conf.arg(name="")]) -> int:
    """Make a dataset of a folder of photos or a video: the cameras' poses, sparse points, smaller copies.

    Called again, it goes on where it was.
    """
    from nerf_plugins.captures.command import process_data

    folder = process_data(options)
    if not options.dry_run:
        print(folder)
    return 0


COMMANDS: dict[str, Callable[..., int]] = {
    "doctor": doctor,
    "mesh": mesh,
    "camera-path": camera_path,
    "fit-image": fit_image,
    "sweep": sweep,
    "metrics": metrics,
    "process-data": process_data,
}


def main(args: Sequence[str] | None = None) -> None:
    """Runs a subcommand and exits with its code; what the user can mend, and a Ctrl-C, is one line, without a traceback."""
    try:
        code = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="nerf-plugins",
            description="Tools of the nerf-plugins package for nerfstudio.",
            args=args,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130  # as a shell says it: 128 + SIGINT
    sys.exit(code)


if __name__ == "__main__":
    main()
