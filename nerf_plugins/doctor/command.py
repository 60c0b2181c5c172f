"""`nerf-plugins doctor`: looks, and shows what was found."""

import sys

from nerf_plugins.doctor.options import DoctorOptions
from nerf_plugins.doctor.report import examine, show


def run(options: DoctorOptions) -> int:
    """Prints the report.

    Returns:
        The exit code: 0 if our methods can be trained here.
    """
    from rich.console import Console

    with Console(file=sys.stderr).status("checking; importing nerfstudio takes a while"):
        report = examine()
    show(report, as_json=options.json)
    return 0 if report.can_run else 1
