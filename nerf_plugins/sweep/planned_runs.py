"""The runs of a sweep: from the recipe to nerfstudio's configs, checked before anything is trained."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nerfstudio.configs.dataparser_configs import all_dataparsers
from nerfstudio.configs.method_configs import all_methods

from nerf_plugins.errors import InputError, near, near_path
from nerf_plugins.runs.config_options import N_IMAGES, schedules_without_end, with_option
from nerf_plugins.runs.folder import RunFolder
from nerf_plugins.sweep.recipe import Recipe, SweepRecipe

DATAPARSER = "pipeline.datamanager.dataparser"


@dataclass(frozen=True)
class Run:
    """One training."""

    method: str
    """As the recipe has it, with overrides."""
    n_images: int | None
    """Number of training images; None: all."""
    seed: int
    """Of nerfstudio."""
    choices: dict[str, Any]
    """What the recipe's grid chose."""
    steps: tuple[int, ...]
    """Checkpoints after so many steps, ascending."""
    config: Any
    """nerfstudio's TrainerConfig for ns-train, but for where to begin and end."""
    folder: RunFolder
    """Where nerfstudio puts it."""

    @property
    def label(self) -> str:
        """A short name within the sweep."""
        return f"{self.config.method_name}/{self.folder.path.name}"

    def next_config(self) -> Any:
        """What is to be trained next, from the newest checkpoint that helps; None if every checkpoint is there.

        A trainer of this package saves all listed steps on its way. Others are trained from one listed step to the next: they cannot
        save after steps of one's choice except the last.
        """
        missing = self.folder.missing(self.steps)
        if not missing:
            return None
        config = copy.deepcopy(self.config)
        start = self.folder.newest(before=missing[0])
        config.load_checkpoint = self.folder.checkpoint(start) if start else None
        if hasattr(config, "save_at_steps"):
            # Of what is not listed it keeps only the newest, so what is there already is listed too.
            config.save_at_steps = tuple(sorted({*self.steps, *self.folder.reached()}))
            end = self.steps[-1]
        else:
            config.save_only_latest_checkpoint = False
            end = missing[0]
        config.max_num_iterations = end - start  # nerfstudio counts from where it begins
        return config


def plan(recipe: SweepRecipe) -> list[Run]:
    """All runs of a recipe, in its order.

    Raises:
        InputError: a method, dataparser or option does not exist, or a value has the wrong type.
    """
    names = list(recipe.grid)
    grids = itertools.product(recipe.methods, itertools.product(*recipe.grid.values()), recipe.n_images, recipe.seeds)
    return [
        _run(recipe, method, dict(zip(names, values)), n_images, seed)  # in which seeds of one setting are neighbours
        for method, values, n_images, seed in grids
    ]


def _run(recipe: SweepRecipe, method: str, choices: dict[str, Any], n_images: int | None, seed: int) -> Run:
    for name, _ in _settings(recipe, method, choices):
        _check_free(name)
    config = method_config(recipe, method, choices)
    following = schedules_without_end(config)
    for name in following:  # the end of the whole training, also for a process that only goes on with it
        config = with_option(config, name, recipe.steps[-1])
    config = with_option(config, "machine.seed", seed)
    if n_images is not None:
        if not hasattr(config.pipeline.datamanager, "subset"):
            raise InputError(
                f"n_images: the data manager of {method} cannot train on some of the images; leave n_images out"
            )
        config = with_option(config, N_IMAGES, n_images)
    config.output_dir = recipe.output_dir.absolute()
    config.experiment_name = recipe.name
    config.timestamp = _folder_name(recipe, method, choices, n_images, seed, recipe.steps[-1] if following else None)
    folder = RunFolder(config.get_base_dir(), str(config.relative_model_dir))
    return Run(method, n_images, seed, choices, recipe.steps, config, folder)


def method_config(recipe: Recipe, method: str, choices: Mapping[str, Any] | None = None) -> Any:
    """nerfstudio's TrainerConfig of one of a recipe's methods, with the recipe's data and options.

    Args:
        recipe: a sweep's or a benchmark's.
        method: of the recipe's, with overrides.
        choices: more options, by their names.

    Raises:
        InputError: a method, dataparser, option or the data does not exist, a value has the wrong type, or an option is given twice.
    """
    config = _base_config(recipe, method)
    settings = _settings(recipe, method, choices or {})
    _check_once([name for name, _ in settings])
    for name, value in settings:
        config = with_option(config, name, value)
    return config


def _settings(recipe: Recipe, method: str, choices: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [*_overrides(recipe, method), *recipe.options.items(), *choices.items()]


def _base_config(recipe: Recipe, method: str) -> Any:
    if recipe.data is not None and not recipe.data.exists():
        raise InputError(f"data {recipe.data} does not exist{near_path(recipe.data)}")
    name = method.split("+")[0]
    if name not in all_methods:
        raise InputError(f"unknown method {name}{near(name, all_methods)}")
    known = all_methods[name]
    if not dataclasses.is_dataclass(known) or not hasattr(known, "pipeline"):
        raise InputError(f"method {name} is not installed: see ns-train {name}")
    config: Any = copy.deepcopy(known)
    config.vis = "tensorboard"
    config.viewer.quit_on_train_completion = True
    if recipe.dataparser is not None:
        if recipe.dataparser not in all_dataparsers:
            raise InputError(f"unknown dataparser {recipe.dataparser}{near(recipe.dataparser, all_dataparsers)}")
        config.pipeline.datamanager.dataparser = copy.deepcopy(all_dataparsers[recipe.dataparser])
    if recipe.data is not None:
        config.pipeline.datamanager.data = recipe.data.absolute()
    return config


def _overrides(recipe: Recipe, method: str) -> Iterator[tuple[str, Any]]:
    """The ``name=value`` pairs of the dataparser and of the method, with their full names."""
    given = [(DATAPARSER, pair) for pair in recipe.dataparser_options]
    given += [("pipeline", pair) for pair in method.split("+")[1:]]
    for place, pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"{pair}: give NAME=VALUE")
        yield f"{place}.{name}".replace("-", "_").strip(), value.strip()


def _check_once(names: list[str]) -> None:
    """Of two values for one option only the last would be used, and the runs' names would not say so."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"option {twice} is given twice for one run: give it once, in methods, options or grid")


def _check_free(name: str) -> None:
    """The sweep itself decides where runs go, where they begin and how long they last."""
    taken = {
        "output_dir": "output_dir",
        "experiment_name": "name",
        "max_num_iterations": "steps",
        "save_at_steps": "steps",
        "data": "data",
        "pipeline.datamanager.data": "data",
        "machine.seed": "seeds",
        N_IMAGES: "n_images",
    }
    if name in taken:
        raise InputError(f"option {name} belongs to the sweep: use the recipe's key {taken[name]}")
    if name in ("timestamp", "method_name", "relative_model_dir") or name.startswith("load_"):
        raise InputError(f"option {name} belongs to the sweep, which names the runs and resumes them")


def _folder_name(
    recipe: SweepRecipe,
    method: str,
    choices: dict[str, Any],
    n_images: int | None,
    seed: int,
    schedules_end: int | None,
) -> str:
    """Says what a person looks for, and ends with a hash of all settings: other settings are another run. Of the steps only the last
    counts, and only where schedules end there: checkpoints in between change nothing."""
    words = [f"{_last(pair)}" for pair in method.split("+")[1:]] + [f"{_last(f'{k}={v}')}" for k, v in choices.items()]
    words += [f"n_images={n_images}"] if n_images is not None else []
    settings = [method, choices, n_images, seed, recipe.options, recipe.dataparser, recipe.dataparser_options]
    settings += [None if recipe.data is None else str(recipe.data.absolute())]
    settings += [schedules_end] if schedules_end is not None else []
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return re.sub(r"[^\w.=,-]+", "_", "-".join([*words, f"seed{seed}"]))[:100] + f"-{digest}"


def _last(pair: str) -> str:
    name, _, value = pair.partition("=")
    return f"{name.split('.')[-1]}={value}"
