"""Keeping parts of a model as they are while the rest is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn import Parameter

from nerf_plugins.engine.finetuning import is_per_image
from nerf_plugins.errors import InputError

# What of the fields has no influence on density or distance.
_COLOR = ("*color_*", "*feature_head.*", "*view_layer.*")


def freeze(model: nn.Module, groups: Mapping[str, Sequence[Parameter]], names: Sequence[str]) -> str:
    """Takes parameters out of training: they get no gradient, so the optimisers leave them and what they know of them alone.

    The occupancy grid is no parameter: it goes on following the density, also a frozen one.

    Args:
        model: the model.
        groups: the optimisers' parameter groups.
        names: each is "geometry" (all that density or distance depends on, with NeuS's variance), "color" (the rest of the fields), an
            optimiser's group, or the name of a module or parameter of the model, in which * stands for anything.

    Returns:
        One line that says what is frozen.

    Raises:
        InputError: a name is unknown, or nothing is left to train.
    """
    named = dict(model.named_parameters())
    for name in names:
        members = _members(name, named, groups)
        if not members:
            raise InputError(
                f"--freeze {name}: there is no such part of the model: give geometry, color, a group of the optimisers "
                f"({', '.join(groups)}) or a module ({', '.join(_modules(model))})"
            )
        for parameter in members:
            parameter.requires_grad_(False)
    count = {True: 0, False: 0}
    for parameter in (parameter for group in groups.values() for parameter in group):
        count[parameter.requires_grad] += parameter.numel()
    if not count[True]:
        raise InputError(f"--freeze {' '.join(names)}: nothing is left to train: freeze less")
    return f"Frozen: {', '.join(names)} ({count[False]:,} numbers of the model; {count[True]:,} are trained)."


def _members(name: str, named: Mapping[str, Parameter], groups: Mapping[str, Sequence[Parameter]]) -> list[Parameter]:
    if name in groups:
        return list(groups[name])
    if name in ("geometry", "color"):
        fields = {key: parameter for key, parameter in named.items() if not is_per_image(key)}
        return [parameter for key, parameter in fields.items() if _is_color(key) == (name == "color")]
    return [p for key, p in named.items() if fnmatchcase(key, name) or fnmatchcase(key, f"{name}.*")]


def _is_color(key: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in _COLOR)


def _modules(model: nn.Module) -> list[str]:
    """The model's fields and their parts: what there is to name."""
    owners = {key.rsplit(".", 1)[0] for key, _ in model.named_parameters() if "." in key}
    return sorted({".".join(owner.split(".")[:2]) for owner in owners})
