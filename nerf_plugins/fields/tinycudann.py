"""tiny-cuda-nn, where it is installed: nothing needs it."""

from __future__ import annotations

from typing import Any

from nerf_plugins.errors import InputError


def import_tinycudann(option: str, ours: str) -> Any:
    """The module ``tinycudann``.

    Args:
        option: the option that asks for it, for the message.
        ours: what it can be set to instead.

    Raises:
        InputError: it cannot be imported.
    """
    try:
        import tinycudann  # type: ignore[import-not-found]
    except (ImportError, OSError) as e:  # tinycudann raises OSError where it finds no CUDA device
        raise InputError(
            f"{option} is 'tcnn', but tinycudann cannot be imported ({e}): install it, or use '{ours}'"
        ) from e
    return tinycudann
