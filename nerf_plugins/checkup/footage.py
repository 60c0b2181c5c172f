"""What will matter of a video, before any of its frames is looked at for long."""

from __future__ import annotations

from nerf_plugins.captures.video import Footage
from nerf_plugins.console import Remark
from nerf_plugins.wording import counted

FEW = 30
"""Frames: of fewer, once blurred and nearly equal ones are left out, less remain than most scenes need."""
SHORT = 5.0
"""Seconds in which nobody walks around a scene."""
SMALL = 480
"""Longer side, in pixels, below which few points are found, and the scene is no finer than the pictures."""


def footage_remarks(footage: Footage) -> list[Remark]:
    """Few frames, a short take, small pictures; and that frames are turned, which is no fault."""
    remarks = []
    if footage.turned:
        remarks.append(
            Remark(f"Its frames are turned by {footage.turned} degrees, as its header says: they are written upright.")
        )
    if 0 < footage.n_frames < FEW:
        few = f"{counted(footage.n_frames, 'frame is', 'frames are')} few: film more of the scene; fifty sharp ones or more see most well."
        remarks.append(Remark(few, is_odd=True))
    elif 0 < footage.seconds < SHORT:
        short = f"{footage.seconds:.1f} s are short: walk slowly around the scene, a minute or two of it; what moves fast is blurred."
        remarks.append(Remark(short, is_odd=True))
    if max(footage.size) < SMALL:
        width, height = footage.size
        small = f"{width}x{height} pixels are small: poses are found from few points, and nothing finer is learnt; film at 1080p or more."
        remarks.append(Remark(small, is_odd=True))
    return remarks
