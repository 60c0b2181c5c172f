"""The ``nerf-plugins`` command: a table of subcommands.

A subcommand lives in a room: its options in the room's ``options.py`` (those of process-data in ``captures/``), which imports nothing
heavy, so that ``--help`` is quick, and a function ``run(options) -> exit code`` in its ``command.py``, which is imported when it is called.
"""

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import tyro

from nerf_plugins.camera_paths.options import CameraPathOptions
from nerf_plugins.captures.options import ProcessDataOptions
from nerf_plugins.doctor.options import DoctorOptions
from nerf_plugins.errors import InputError
from nerf_plugins.evaluation.options import MetricsOptions
from nerf_plugins.export.options import MeshOptions
from nerf_plugins.image_fitting.options import FitImageOptions
from nerf_plugins.mesh_evaluation.options import EvalMeshOptions
from nerf_plugins.sweep.options import SweepOptions
from nerf_plugins.tracks.options import TracksOptions


class Command(NamedTuple):
    """A subcommand."""

    options: Any
    """The class of its options, or a union of such: subcommands of its own."""
    room: str
    """The package's folder with ``command.py``."""
    help: str | None = None
    """None: the docstring of the options; a union has none."""


COMMANDS = {
    "doctor": Command(DoctorOptions, "doctor"),
    "process-data": Command(ProcessDataOptions, "process_data"),
    "mesh": Command(MeshOptions, "export"),
    "eval-mesh": Command(EvalMeshOptions, "mesh_evaluation"),
    "camera-path": Command(
        CameraPathOptions,
        "camera_paths",
        "Write a camera path for `ns-render camera-path` and the viewer, and say how new its views are.",
    ),
    "tracks": Command(TracksOptions, "tracks"),
    "fit-image": Command(FitImageOptions, "image_fitting"),
    "sweep": Command(SweepOptions, "sweep"),
    "metrics": Command(MetricsOptions, "evaluation"),
}


def _entry(command: Command) -> Callable[[Any], int]:
    """What tyro reads the options of, and calls with them."""

    def run(options: Any) -> int:
        warnings.simplefilter("ignore", FutureWarning)  # of nerfstudio's and torch's imports, nothing the user can mend
        return importlib.import_module(f"nerf_plugins.{command.room}.command").run(options)

    run.__annotations__["options"] = Annotated[command.options, tyro.conf.arg(name="")]
    run.__doc__ = command.help or command.options.__doc__
    return run


def main(args: Sequence[str] | None = None) -> None:
    """Runs a subcommand and exits with its code; what the user can mend, and a Ctrl-C, is one line, without a traceback."""
    try:
        try:
            code = _run(args)
        finally:  # tyro's --help ends by SystemExit, with its text still in the buffer
            sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130  # as a shell says it: 128 + SIGINT
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still in the buffer
        code = 141  # 128 + SIGPIPE
    sys.exit(code)


def _run(args: Sequence[str] | None) -> int:
    return tyro.extras.subcommand_cli_from_dict(
        {name: _entry(command) for name, command in COMMANDS.items()},
        prog="nerf-plugins",
        description="Tools of the nerf-plugins package for nerfstudio.",
        args=args,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


if __name__ == "__main__":
    main()
