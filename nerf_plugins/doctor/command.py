"""`nerf-plugins doctor`: looks at this machine, or at a dataset, and shows what was found."""

import sys
from pathlib import Path

from nerf_plugins.doctor.options import DoctorOptions
from nerf_plugins.doctor.report import examine, show


def run(options: DoctorOptions) -> int:
    """Prints the report on this machine, or on a dataset.

    Returns:
        The exit code: 0 if our methods can be trained here, or on the dataset.
    """
    return _on_machine(options) if options.data is None else _on_data(options, options.data)


def _on_data(options: DoctorOptions, data: Path) -> int:
    from nerf_plugins.checkup import report

    found = report.examine(data, options.picture)
    report.show(found, as_json=options.json)
    return 1 if found.broken else 0


def _on_machine(options: DoctorOptions) -> int:
    from rich.console import Console

    with Console(file=sys.stderr).status("checking; importing nerfstudio takes a while"):
        report = examine()
    show(report, as_json=options.json)
    return 0 if report.can_run else 1
