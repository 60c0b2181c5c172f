"""The model's part of a checkpoint: found in it, and checked against the model before anything is overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nerf_plugins.errors import InputError

FORMAT = 2
"""Which names a model's tensors have in a checkpoint. Version 0.1 of this package wrote no number."""
PREFIX = "_model."


def split_state(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of the model, by the model's own names, and the rest of a pipeline's state."""
    model, others = {}, {}
    for key, value in state.items():
        name = key.replace("module.", "")  # a model on several GPUs is wrapped
        (model if name.startswith(PREFIX) else others)[name.removeprefix(PREFIX)] = value
    return model, others


def check_model_state(loaded: Mapping[str, Tensor], own: Mapping[str, Tensor], extra: Mapping[str, Any]) -> None:
    """Checks that a checkpoint's model has the names and shapes of this one.

    Args:
        loaded: the checkpoint's.
        own: the model's.
        extra: what the checkpoint says besides.

    Raises:
        InputError: naming the first tensor that does not fit.
    """
    advice = "it was made with other options, another method or another version: use the config.yml beside it"
    if extra.get("format") != FORMAT:
        advice = "it was written by another version of nerf-plugins: use that one, or train again"
    for key in sorted(own.keys() ^ loaded.keys()):
        what = "lacks" if key in own else "has the unknown"
        raise InputError(f"the checkpoint {what} {key}: {advice}")
    for key, value in own.items():
        if loaded[key].shape != value.shape:
            raise InputError(
                f"the checkpoint's {key} has shape {tuple(loaded[key].shape)}, the model's {tuple(value.shape)}: {advice}"
            )
