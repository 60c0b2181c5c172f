"""`nerf-plugins process-data`: ``captures/`` makes the dataset, and what to train on it is what the doctor would say."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

from rich.markup import escape

from nerf_plugins.captures.options import ProcessDataOptions
from nerf_plugins.captures.processing import CONSOLE, process_data
from nerf_plugins.checkup.advice import advise, plain_training
from nerf_plugins.checkup.source import open_source
from nerf_plugins.console import collected


def run(options: ProcessDataOptions) -> int:
    """The command.

    Returns:
        0, the exit code of success.
    """
    folder = process_data(options)
    if not options.dry_run:
        command = training_command(folder, options.moving)
        CONSOLE.print(f"Look at {escape(str(folder / 'capture.png'))}; then", soft_wrap=True)
        CONSOLE.print(f"  {escape(command)}", soft_wrap=True)
        print(folder)
    return 0


def training_command(folder: Path, is_moving: bool) -> str:
    """The command that the doctor names first for a dataset; where it cannot, which is said, one without what only a look at it tells."""
    try:
        with collected(), redirect_stdout(io.StringIO()):  # nerfstudio says much while it reads
            return advise(open_source(folder))[0].command
    except Exception as e:  # the dataset has been made, whatever is the matter here
        CONSOLE.print(f"note: training would not read it as it is: {escape(str(e))}", soft_wrap=True)
        return plain_training(folder, is_moving)
