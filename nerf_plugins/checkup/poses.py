"""Whether the poses fit together: do the matches of some pairs of photos lie on the epipolar lines that the poses give?

Each camera may look sound by itself and a whole part of them still stand beside its place. Only what two photos share tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.cameras.camera_utils import radial_and_tangential_undistort
from nerfstudio.cameras.cameras import Cameras, CameraType

from nerf_plugins.captures.agreement import AGREED, MAX_ERROR, sampson_errors
from nerf_plugins.captures.pairs import Pair
from nerf_plugins.checkup.matches import SIZE, VERIFIED, Features, find_features, similar, verified
from nerf_plugins.checkup.pixels import Picture
from nerf_plugins.checkup.walk import Walk, choose_pairs, walk_of
from nerf_plugins.console import Remark
from nerf_plugins.errors import InputError
from nerf_plugins.wording import counted

ENOUGH = 30
"""Matches of a pair that is judged. Of eight captures, pairs that share nothing had up to 18 verified by chance."""
CONTRADICTED = 0.5
"""Share of a pair's matches. Where poses are right pairs had 0.67 and more, at the seam of two parts that do not fit 0.01."""
IMPRECISE = 0.8
"""Share of all matches; eight captures with right poses had 0.89 and more."""
_JUMP = 3.0
"""Usual steps; a longer one is said to be a jump."""
_WIDEST = 60.0
"""Degrees from a fisheye's axis; farther out a pixel is a long way on the plane at depth 1."""


@dataclass(frozen=True)
class Shared:
    """Two photos, by index, their verified matches, and how many of these agree with the poses."""

    pair: Pair
    matches: int
    agreeing: int

    @property
    def share(self) -> float:
        """Of the matches, that agree; 1 where there are none."""
        return self.agreeing / self.matches if self.matches else 1.0


def check_poses(
    cameras: Mapping[Path, Cameras],
    read: Callable[[int], Picture],
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> tuple[Remark | None, list[str]]:
    """Compares some pairs of photos.

    Args:
        cameras: of all photos.
        read: gives a photo and its mask by index, or raises InputError.
        progress: goes through the photos that are looked at, and may say how far.

    Returns:
        What the matches say of the poses, odd if they contradict them; None where there is nothing to compare, or the cameras are no
        pinholes or fisheyes. And of photos that cannot be read why.
    """
    known, paths = list(cameras.values()), list(cameras)
    if len(known) < 2 or any(_type(camera) not in _WITH_LINES for camera in known):
        return None, []
    poses = torch.stack([camera.camera_to_worlds for camera in known]).double()
    instants = [camera.times for camera in known]
    times = None if instants[0] is None else torch.cat([t.reshape(1) for t in instants if t is not None])
    steps = walk_of(poses, paths)
    pairs = choose_pairs(steps, poses, times)
    if not pairs:
        return Remark("Poses: not checked against matches, since things move and no two photos are of one time."), []
    try:
        found, broken = _features(sorted({i for pair in pairs for i in pair}), read, progress)
        shared = [
            compare(pair, known, found[pair[0]], found[pair[1]]) for pair in pairs if all(i in found for i in pair)
        ]
    except cv2.error as e:
        return Remark(f"Poses: not checked against matches: OpenCV failed ({' '.join(str(e).split())[:200]})."), []
    return verdict(shared, [path.name for path in paths], steps), broken


def _features(
    indices: Sequence[int], read: Callable[[int], Picture], progress: Callable[[Sequence[int]], Iterable[int]]
) -> tuple[dict[int, Features], list[str]]:
    found, broken = {}, []
    for i in progress(indices):
        try:
            found[i] = find_features(read(i))
        except InputError as e:
            broken.append(str(e))
    return found, broken


def compare(pair: Pair, cameras: Sequence[Cameras], first: Features, second: Features) -> Shared:
    """Matches two photos, and looks which matches lie on the epipolar lines of their cameras."""
    a, b = (cameras[i] for i in pair)
    rows = similar(first.descriptors, second.descriptors)
    x, y = on_plane(a, first.points[rows[:, 0]]), on_plane(b, second.points[rows[:, 1]])
    seen = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    x, y = x[seen], y[seen]
    focals = float(a.fx) * first.scale, float(b.fx) * second.scale
    kept = verified(x * focals[0], y * focals[1])
    relative = (np.linalg.inv(_pose(b)) @ _pose(a))[:3]
    errors = np.mean(focals) * sampson_errors(relative, x[kept], y[kept])
    return Shared(pair, int(kept.sum()), int((errors < max(_tolerance(a, first), _tolerance(b, second))).sum()))


def _tolerance(camera: Cameras, seen: Features) -> float:
    """Pixels of the picture looked at: fewer of a smaller one, in which all is nearer to its line; but what is verified may agree."""
    longer = seen.scale * max(int(camera.width), int(camera.height))
    return max(VERIFIED, MAX_ERROR * longer / SIZE)


_WITH_LINES = (CameraType.PERSPECTIVE.value, CameraType.FISHEYE.value)


def _type(camera: Cameras) -> int:
    return int(camera.camera_type)


def on_plane(camera: Cameras, pixels: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Where a pinhole camera or a fisheye sees pixels on the plane at depth 1, x right and y down; NaN far out in a fisheye."""
    fx, fy, cx, cy = (float(getattr(camera, key)) for key in ("fx", "fy", "cx", "cy"))
    points = torch.from_numpy((pixels - [cx, cy]) / [fx, fy])
    params = camera.distortion_params
    if params is not None and bool(params.any()) and len(points):
        points = radial_and_tangential_undistort(points, params.double().reshape(1, -1).expand(len(points), -1))
    if _type(camera) == CameraType.FISHEYE.value:
        angles = points.norm(dim=1, keepdim=True).clamp(min=1e-9)
        points = torch.where(angles.rad2deg() < _WIDEST, points * angles.tan() / angles, torch.nan)
    return points.numpy()


def _pose(camera: Cameras) -> Float[np.ndarray, "4 4"]:
    """Camera-to-world, x right, y down, z forward."""
    return np.vstack([camera.camera_to_worlds.double().numpy() * [1.0, -1.0, -1.0, 1.0], [0.0, 0.0, 0.0, 1.0]])


def verdict(shared: Sequence[Shared], names: Sequence[str], steps: Walk) -> Remark:
    """What pairs say of the poses, odd if it is anything but that they are right.

    Args:
        shared: by pair.
        names: of all photos.
        steps: theirs.
    """
    judged = [item for item in shared if item.matches >= ENOUGH]
    if not judged:
        return Remark(
            f"Poses: not checked against matches: of {counted(len(shared), 'pair')} of photos compared none shares {ENOUGH} or more."
        )
    against = [item for item in judged if item.share < CONTRADICTED]
    share = sum(item.agreeing for item in judged) / sum(item.matches for item in judged)
    if against:
        return Remark(_contradiction(against, len(judged), names, steps), is_odd=True)
    line = f"Poses: {share:.0%} of the matches of {counted(len(judged), 'pair')} of photos agree with them"
    if share < IMPRECISE:
        return Remark(
            f"{line}, where right ones have {AGREED:.0%} and more: they, or the lens, are imprecise.", is_odd=True
        )
    return Remark(f"{line}.")


def _contradiction(against: Sequence[Shared], n_judged: int, names: Sequence[str], steps: Walk) -> str:
    worst = max(against, key=lambda item: _strength(item, steps))
    first, second = (names[i] for i in sorted(worst.pair, key=steps.order.index))
    line = (
        f"Poses: {len(against)} of {counted(n_judged, 'pair')} of photos {'contradicts' if len(against) == 1 else 'contradict'} them: "
        f"{first} and {second} share {worst.matches} matches, of which {worst.share:.0%} agree with their poses"
    )
    if len(against) > n_judged / 2:
        return f"{line}. Nearly nothing fits: poses of other photos, other axes, or another focal length."
    jump = steps.jump(worst.pair)
    if jump > _JUMP:
        return f"{line}; between them the camera jumps by {jump:.0f} usual steps: the poses before and after do not fit together."
    return f"{line}: one of the two is astray, or all poses or the focal length are imprecise."


def _strength(item: Shared, steps: Walk) -> tuple[bool, int, int]:
    """How much a pair explains: first those over a jump, the nearest to it before others, then those with most matches."""
    jumps = steps.jump(item.pair) > _JUMP
    return jumps, -steps.gap(item.pair) if jumps else 0, item.matches
