"""How good a reconstruction is, photo by photo: which were left out and why, and which are likely wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nerf_plugins.captures.agreement import AGREED
from nerf_plugins.captures.job import Matched, Reconstruction
from nerf_plugins.errors import InputError
from nerf_plugins.wording import counted

LEAST = 3
"""Registered photos without which there is no scene."""
FEW_POINTS = 1 / 3
"""Of the median number of points: photos with fewer were the wrong ones where some were."""
ROUGH = 200
"""Points that half of the photos should see; an orbit of 35 pictures of smooth things that saw fewer had poses 2 to 8 % off."""
AGREEING = 0.5
"""Of a photo's matches: with fewer it was put to a wrong place. Of 292 photos placed right the least had 0.85, of little texture 0.6; of
those placed wrong 26 had fewer than 0.5 and the worst 0.02."""
BLURRED = 0.4
"""Of the median sharpness."""
FEW_FEATURES = 200
NEXT_TIME = (
    "take more photos, sharp and evenly exposed, each sharing two thirds of what it shows with the next, walking around the scene "
    "rather than turning on the spot"
)


@dataclass(frozen=True)
class LeftOut:
    """A photo without a pose, and the likely reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Judgement:
    """What is said of a reconstruction.

    Attributes:
        left_out: photos without a pose.
        doubtful: registered photos that may be wrong, and why.
        warnings: a line each.
    """

    left_out: list[LeftOut]
    doubtful: dict[str, str]
    warnings: list[str]


def judge(reconstruction: Reconstruction, sharpness: Mapping[str, float]) -> Judgement:
    """Looks at every photo.

    Args:
        reconstruction: of the photos.
        sharpness: of each photo by name, as `photos.sharpness` measures it.
    """
    usual = float(np.median(list(sharpness.values())))
    left_out = [
        LeftOut(name, _reason(matched, sharpness[name] / max(usual, 1e-12)))
        for name, matched in sorted(reconstruction.matched.items())
        if name not in reconstruction.posed
    ]
    few, contradicted = _with_few_points(reconstruction), _contradicted(reconstruction)
    reasons = {name: [counted(count, "point")] for name, count in few.items()}
    for name, share in contradicted.items():
        reasons.setdefault(name, []).append(f"{share:.0%} of its matches agree")
    doubtful = {name: ", ".join(parts) for name, parts in reasons.items()}
    return Judgement(left_out, doubtful, _warnings(reconstruction, left_out, few, contradicted))


def _with_few_points(reconstruction: Reconstruction) -> dict[str, int]:
    counts = {name: image.points for name, image in reconstruction.posed.items()}
    limit = FEW_POINTS * _usual_points(reconstruction)
    return {name: count for name, count in counts.items() if count < limit}


def _contradicted(reconstruction: Reconstruction) -> dict[str, float]:
    """Photos with the share of their matches that agree, where that is small."""
    return {name: image.agreeing for name, image in reconstruction.posed.items() if image.agreeing < AGREEING}


def _usual_points(reconstruction: Reconstruction) -> float:
    return float(np.median([image.points for image in reconstruction.posed.values()]))


def check_enough(reconstruction: Reconstruction, judgement: Judgement, share: float) -> None:
    """Refuses a reconstruction of too few photos.

    Raises:
        InputError: fewer than `share` of the photos are registered; says what to do.
    """
    count, total = len(reconstruction.posed), len(reconstruction.matched)
    if count < max(LEAST, share * total):
        reasons = sorted({item.reason for item in judgement.left_out}, key=[i.reason for i in judgement.left_out].count)
        most = f"most of the others: {reasons[-1]}" if reasons else "no more were given"
        raise InputError(
            f"only {count} of {total} photos could be placed ({most}): {NEXT_TIME}; --min-registered {count / total:.2f} keeps these"
            if count >= LEAST
            else f"only {count} of {total} photos could be placed ({most}): {NEXT_TIME}"
        )


def _reason(matched: Matched, relative_sharpness: float) -> str:
    if matched.components:
        return "belongs to another part that no photo connects with the largest"
    if relative_sharpness < BLURRED:
        return "blurred"
    if matched.features < FEW_FEATURES:
        return "little texture"
    if matched.partners == 0:
        return "no overlap with other photos"
    if matched.partners < 3:
        return "little overlap with other photos"
    return "overlaps with others, but no pose agrees with them (repeated or moving things?)"


def _warnings(
    reconstruction: Reconstruction, left_out: list[LeftOut], few: Mapping[str, int], contradicted: Mapping[str, float]
) -> list[str]:
    lines, sizes = [], reconstruction.components
    if len(sizes) > 1:
        rest = ", ".join(map(str, sizes[1:]))
        lines.append(
            f"the photos fall into {len(sizes)} parts: the largest ({counted(sizes[0], 'photo')}) is used, not the others ({rest})"
        )
    if left_out:
        lines.append(f"{len(left_out)} of {len(reconstruction.matched)} photos have no pose and are left out")
    usual = int(_usual_points(reconstruction))
    if few:
        lines.append(
            f"{counted(len(few), 'photo')} with fewer than a third of the usual {usual} points, which are less sure: {_worst(few, 'd')}"
        )
    if contradicted:
        lines.append(
            f"{counted(len(contradicted), 'photo')} that most matches with others contradict, likely at a wrong place; matches that agree: "
            f"{_worst(contradicted, '.0%')}"
        )
    if reconstruction.agreeing < AGREED:
        lines.append(
            f"only {reconstruction.agreeing:.0%} of the matches agree with the poses, of which parts may be at a wrong place: look at "
            "capture.png; larger photos, or more of them between these, help"
        )
    if usual < ROUGH:
        lines.append(
            f"half of the photos see {usual} points or fewer: poses may be a few percent off; larger photos, or more texture, help"
        )
    if reconstruction.error > 1.5:
        lines.append(
            f"reprojection error {reconstruction.error:.2f} pixels: more than 1 is a sign of motion, blur or zooming"
        )
    return lines


def _worst(values: Mapping[str, float], form: str) -> str:
    """The five smallest."""
    return ", ".join(f"{name} ({value:{form}})" for name, value in sorted(values.items(), key=lambda item: item[1])[:5])


def as_json(
    reconstruction: Reconstruction, judgement: Judgement, sharpness: Mapping[str, float], notes: list[str]
) -> dict[str, Any]:
    """All of it, for `capture.json`."""
    return {
        "photos": len(reconstruction.matched),
        "registered": len(reconstruction.posed),
        "components": reconstruction.components,
        "points": len(reconstruction.points),
        "reprojection_error_pixels": round(reconstruction.error, 4),
        "matches_that_agree": round(reconstruction.agreeing, 4),
        "cameras": {str(key): vars(camera) for key, camera in reconstruction.cameras.items()},
        "warnings": judgement.warnings,
        "notes": notes,
        "left_out": {item.name: item.reason for item in judgement.left_out},
        "doubtful": judgement.doubtful,
        "images": {
            name: {
                "points": image.points,
                "error_pixels": round(image.error, 3),
                "matches_that_agree": round(image.agreeing, 3),
                "features": reconstruction.matched[name].features,
                "overlaps_with": reconstruction.matched[name].partners,
                "sharpness": round(sharpness[name], 5),
            }
            for name, image in reconstruction.posed.items()
        },
    }
