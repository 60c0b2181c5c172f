"""Looks of photos along a path."""

from __future__ import annotations

from collections.abc import Sequence

from nerf_plugins.data.looks import look_name


def styles_along(looks: Sequence[str], n_views: int, names: Sequence[str]) -> list[dict[str, float]]:
    """Shares of looks in each view: the first look in the first view, the last in the last, evenly through the others between.

    Args:
        looks: as ``--style`` has them; one stays for all views, none gives no styles.
        n_views: of the path.
        names: of the training photos.

    Raises:
        InputError: a look is of no training photo.
    """
    if not looks:
        return []
    found = [look_name(look, names, "--style") for look in looks]
    places = [(len(found) - 1) * i / max(n_views - 1, 1) for i in range(n_views)]
    return [_between(found, place) for place in places]


def _between(looks: Sequence[str], place: float) -> dict[str, float]:
    before = min(int(place), len(looks) - 1)
    share = place - before
    styles = {looks[before]: 1.0 - share}
    if share > 0.0:
        after = looks[before + 1]
        styles[after] = styles.get(after, 0.0) + share
    return styles
