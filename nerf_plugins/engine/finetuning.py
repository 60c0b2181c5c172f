"""Going on from a checkpoint that was trained on other images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from nerfstudio.cameras.camera_optimizers import CameraOptimizer
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer

from nerf_plugins.data.names import match_images
from nerf_plugins.fields.codes import ImageCodes
from nerf_plugins.wording import counted

Beginning = Literal["zero", "mean"]
"""What an image that a checkpoint does not know begins with: nothing (a pose adjustment), or the mean over the images (a code)."""


def per_image_keys(model: nn.Module) -> dict[str, Beginning]:
    """The parameters of a model that have a row for each training image, by their name in its state."""
    keys: dict[str, Beginning] = {}
    for name, module in model.named_modules():
        if isinstance(module, ImageCodes):
            keys[f"{name}.weight"] = "mean"
        elif isinstance(module, CameraOptimizer) and module.config.mode != "off":
            keys[f"{name}.pose_adjustment"] = "zero"
    return keys


class Fitted(NamedTuple):
    """A checkpoint's model, made to fit this run's images."""

    state: dict[str, Tensor]
    changed: list[str]
    """Names of the tensors whose rows are not the checkpoint's, in its order."""
    lines: list[str]
    """One line on what was done; none where the images are the same."""


def fit_to_images(
    loaded: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    per_image: Mapping[str, Beginning],
    names: Sequence[str],
    earlier: Sequence[str] | None,
    earlier_per_image: Sequence[str] = (),
) -> Fitted:
    """Gives each image its row of the checkpoint's per-image tensors.

    An image that the checkpoint does not know begins without a pose adjustment, and with the mean of its codes.

    Args:
        loaded: the checkpoint's model.
        own: the state of this run's model, as it was made.
        per_image: :func:`per_image_keys` of this run's model.
        names: of this run's training images.
        earlier: names of those of the checkpoint; None where it does not say, and then rows are kept if their number is the same.
        earlier_per_image: names of the checkpoint's per-image tensors; those that this model has not are left out.
    """
    keys = [key for key in own if key in per_image]
    dropped = [key for key in earlier_per_image if key in loaded and key not in own]
    state = {key: value for key, value in loaded.items() if key not in dropped}
    if earlier is None:
        rows: list[int | None] = [None] * len(names)
        changed = [key for key in keys if key not in loaded or loaded[key].shape != own[key].shape]
    else:
        rows = match_images(names, earlier)
        same = rows == list(range(len(earlier)))
        changed = [key for key in keys if not same or key not in loaded or loaded[key].shape != own[key].shape]
    fresh = [key for key in changed if key not in loaded or loaded[key].shape[1:] != own[key].shape[1:]]
    for key in changed:
        state[key] = own[key] if key in fresh else _mapped(per_image[key], loaded[key], own[key], rows)
    return Fitted(state, changed, _describe(names, earlier, rows, changed, fresh, dropped))


def _mapped(beginning: Beginning, loaded: Tensor, own: Tensor, rows: Sequence[int | None]) -> Tensor:
    mapped = own.clone()
    if beginning == "mean":
        mapped[:] = loaded.mean(0)
    for i, row in enumerate(rows):
        if row is not None:
            mapped[i] = loaded[row]
    return mapped


def _describe(
    names: Sequence[str],
    earlier: Sequence[str] | None,
    rows: Sequence[int | None],
    changed: Sequence[str],
    fresh: Sequence[str],
    dropped: Sequence[str],
) -> list[str]:
    known = sum(row is not None for row in rows)
    same = earlier is not None and rows == list(range(len(earlier)))
    if not changed and not dropped and (same or earlier is None):
        return []
    if earlier is None:
        line = f"The checkpoint does not name its images; there are {len(names)} now."
    else:
        line = f"Training on {counted(len(names), 'image')}, {known} of them among the checkpoint's {len(earlier)}."
    if mapped := [key for key in changed if key not in fresh]:
        line += f" {', '.join(mapped)}: {known} rows found by image name, {len(names) - known} begin anew."
    if fresh:
        line += f" {', '.join(fresh)}: begins anew, the checkpoint has none like it."
    if dropped:
        line += f" {', '.join(dropped)}: left out, this model has none."
    return [line if changed or dropped else f"{line} The model keeps nothing of single images."]


def differing_worlds(
    loaded: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    scene_from_world: Float[Tensor, "3 4"],
    earlier: Sequence[Sequence[float]] | None,
) -> list[str]:
    """Lines on what a checkpoint was trained in and this dataset is not: coordinates in it may mean something else.

    Args:
        loaded: the checkpoint's model.
        own: the state of this run's model, as it was made.
        scene_from_world: the dataparser's transform, times its scale.
        earlier: that of the checkpoint, if it says.
    """
    lines = []
    box = loaded.get("space.aabb")
    if box is not None and "space.aabb" in own and not torch.allclose(box, own["space.aabb"].to(box), atol=1e-4):
        lines.append(f"The dataset has another scene box; the model keeps the checkpoint's, {box.tolist()}.")
    if earlier is not None and not torch.allclose(torch.tensor(earlier), scene_from_world.cpu(), rtol=1e-3, atol=1e-4):
        lines.append(
            "Warning: the dataparser turns, moves or scales this dataset's world otherwise than the checkpoint's: if both are of one "
            "world, the cameras will not fit the model. Choose images out of one dataset (see the data manager's subset)."
        )
    return lines


def load_optimizer(optimizer: Optimizer, state: dict[str, Any], renewed: Sequence[Parameter]) -> bool:
    """Loads what an optimiser knew of its parameters, save those whose content or shape is another now.

    Args:
        optimizer: to load into.
        state: its state in the checkpoint.
        renewed: parameters that are not the checkpoint's.

    Returns:
        Whether it could be: not if it had other parameters.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if [len(g["params"]) for g in state["param_groups"]] != [len(g["params"]) for g in optimizer.param_groups]:
        return False
    moments = {}
    for i, values in state["state"].items():
        fits = all(v.shape == parameters[i].shape for v in values.values() if isinstance(v, Tensor) and v.dim())
        if fits and not any(parameters[i] is parameter for parameter in renewed):
            moments[i] = values
    optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
    return True
