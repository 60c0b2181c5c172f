"""Keeping parts of a model as they are while the rest is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn import Parameter

from nerf_plugins.errors import InputError


def freeze(
    model: nn.Module,
    parts: Mapping[str, Sequence[Parameter]],
    groups: Mapping[str, Sequence[Parameter]],
    names: Sequence[str],
) -> str:
    """Takes parameters out of training: they get no gradient, so the optimisers leave them and what they know of them alone.

    The occupancy grid is no parameter: it goes on following the density, also a frozen one.

    Args:
        model: the model.
        parts: the model's: "geometry" (all that density or distance depends on, with NeuS's variance), "color" (the rest of the fields),
            and what else its fields name.
        groups: the optimisers' parameter groups.
        names: each is one of the parts or groups, or the name of a module or parameter of the model, in which * stands for anything.

    Returns:
        One line that says what is frozen.

    Raises:
        InputError: a name is unknown, or nothing is left to train.
    """
    named = dict(model.named_parameters())
    for name in names:
        members = _members(name, named, parts, groups)
        if not members:
            raise InputError(
                f"--freeze {name}: there is no such part of the model: give {', '.join(parts)}, a group of the optimisers "
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


def _members(
    name: str,
    named: Mapping[str, Parameter],
    parts: Mapping[str, Sequence[Parameter]],
    groups: Mapping[str, Sequence[Parameter]],
) -> list[Parameter]:
    if name in parts or name in groups:
        return list(parts[name] if name in parts else groups[name])
    return [p for key, p in named.items() if fnmatchcase(key, name) or fnmatchcase(key, f"{name}.*")]


def _modules(model: nn.Module) -> list[str]:
    """The model's fields and their parts: what there is to name."""
    owners = {key.rsplit(".", 1)[0] for key, _ in model.named_parameters() if "." in key}
    return sorted({".".join(owner.split(".")[:2]) for owner in owners})
