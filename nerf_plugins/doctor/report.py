"""All findings, what each part will run on, and both as tables or JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from nerf_plugins.doctor.findings import Finding, Probe, look
from nerf_plugins.doctor.methods import installed
from nerf_plugins.doctor.probes import PROBES

FIRST_COMMAND = "ns-train nerf-hash-custom demo-data"
"""The quickest training; needs no data."""


@dataclass(frozen=True)
class Report:
    """All findings, the backend of each part, our methods, whether they can be trained, and else the required findings that are not ok."""

    findings: tuple[Finding, ...]
    backends: dict[str, str]
    methods: tuple[str, ...]
    can_run: bool
    blocked_by: tuple[str, ...]


def examine(probes: Sequence[Probe] = PROBES) -> Report:
    """Runs the probes."""
    findings = tuple(look(probe) for probe in probes)
    required = {probe.name for probe in probes if probe.required}
    blocked_by = tuple(finding.name for finding in findings if finding.name in required and finding.status != "ok")
    return Report(findings, choose_backends(findings), tuple(installed("methods")), not blocked_by, blocked_by)


def choose_backends(findings: Sequence[Finding]) -> dict[str, str]:
    """What each part will run on."""
    ok = {finding.name for finding in findings if finding.status == "ok"}
    details = {finding.name: finding.detail for finding in findings}
    device = "cuda:0" if "CUDA devices" in ok else "cpu"
    field = f"torch on {device}"
    if "field precision" in ok:
        field += f", {details['field precision']}"
    if {"tinycudann", "CUDA devices"} <= ok:
        field += "; or tiny-cuda-nn with --pipeline.model.field.implementation tcnn (vanilla-nerf-custom)"
        field += " or --pipeline.model.field.encoding.implementation tcnn (the hash methods)"
    return {
        "ray marching": f"Warp on {device}" if "Warp" in ok else "cannot run: Warp is not ok",
        "field": field if "torch" in ok else "cannot run: torch is not ok",
        "video": f"ffmpeg {details['ffmpeg']}" if "ffmpeg" in ok else "cannot be written: no ffmpeg",
        "LPIPS": f"torchmetrics on {device}"
        + ("" if "LPIPS weights" in ok else ", after a download; left out where that fails"),
    }


def show(report: Report, as_json: bool = False) -> None:
    """Prints a report, as tables or as JSON."""
    if as_json:
        print(json.dumps(asdict(report), indent=2))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    colours = {"ok": "green", "missing": "yellow", "optional": "dim", "broken": "red"}
    table = Table(title="What this machine has", title_justify="left")
    for column in ("", "status", "detail"):
        table.add_column(column, overflow="fold")
    for finding in report.findings:
        status = f"[{colours[finding.status]}]{finding.status}[/]"
        table.add_row(finding.name, status, escape(finding.detail))
    console.print(table)

    table = Table(title="What will be used", title_justify="left")
    for column in ("part", "backend"):
        table.add_column(column, overflow="fold")
    for part, backend in report.backends.items():
        table.add_row(part, escape(backend))
    console.print(table)

    for finding in report.findings:
        if finding.advice:
            console.print(f"[bold]{finding.name}[/]: {escape(finding.advice)}", soft_wrap=True)
    if report.can_run:
        console.print(f"[green]{', '.join(report.methods)} can be trained here.[/]", soft_wrap=True)
        console.print(f"The quickest, which needs no data: [bold]{FIRST_COMMAND}[/]", soft_wrap=True)
    else:
        console.print(f"[red]No method can be trained before this is mended: {', '.join(report.blocked_by)}.[/]")
