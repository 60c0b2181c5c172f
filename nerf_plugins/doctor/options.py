"""The options of `nerf-plugins doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DoctorOptions:
    """Show what this machine has, which backend each part will use, and what to do about what is missing.

    The exit code is 0 if our methods can be trained here, else 1.
    """

    json: bool = False
    """Print JSON, for programs."""
