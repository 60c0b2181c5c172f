"""What distinguishes runs: their settings without the seed, and short names for these."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nerf_plugins.runs.checkpoints import step_of
from nerf_plugins.runs.config_options import N_IMAGES, schedules_without_end

_LABELS = {"timestamp", "experiment_name", "project_name", "output_dir", "relative_model_dir", "vis", "prompt"}
_WHERE_TO_END = {"max_num_iterations", "save_at_steps", "load_config"}
_WHERE_TO_BEGIN = {"load_dir", "load_step", "load_checkpoint"}
_AXES = {"machine.seed", N_IMAGES}
_DATA = ("pipeline.datamanager.data", "pipeline.datamanager.dataparser.data")  # the first, where it is given, wins
_SPLIT_FILE = "pipeline.datamanager.subset.split_file"
_GROUPS = ("viewer", "logging", "steps_per", "save_only", "machine.")


def settings_of(config: Any) -> dict[str, str]:
    """A run's options by their dotted names, without those that say nothing of the method or are axes of their own: names and places,
    how long it is trained, how often it saves and shows, the seed and the number of training images.

    Where schedules end is a setting, also where it follows from the training's length, since it changes the rates of every step. So is
    another run's checkpoint that the training began with; one of its own only resumed it.
    """
    options = dict(_flat(config))
    data = [options.pop(name) for name in _DATA if name in options]
    ignored = _LABELS | _WHERE_TO_END | _AXES | (set() if _begins_with_another(config) else _WHERE_TO_BEGIN)
    settings = {name: value for name, value in options.items() if name not in ignored and not name.startswith(_GROUPS)}
    split = settings.get(_SPLIT_FILE, "None")
    if split != "None":
        settings[_SPLIT_FILE] = _what_it_lists(Path(split))
    settings |= dict.fromkeys(schedules_without_end(config), str(_first_step(config) + config.max_num_iterations))
    return _with_one_end(settings) | {"data": next((path for path in data if path != "None"), "None")}


def _with_one_end(settings: dict[str, str]) -> dict[str, str]:
    """Says once where all schedules end, if they end together."""
    ends = {name: value for name, value in settings.items() if name.endswith(".scheduler.max_steps")}
    if len(set(ends.values())) != 1:
        return settings
    return {name: value for name, value in settings.items() if name not in ends} | {"schedules_end": min(ends.values())}


def _begins_with_another(config: Any) -> bool:
    """Whether the training began with a checkpoint from outside of the run's own folder."""
    source = config.load_dir or config.load_checkpoint
    return source is not None and not source.resolve().is_relative_to(config.get_base_dir().resolve())


def _first_step(config: Any) -> int:
    """The step that the training began with, as far as its options tell: of the newest checkpoint in load_dir nothing is known any more."""
    if getattr(config, "restart_steps", False):
        return 0
    if config.load_dir is not None:
        return 0 if config.load_step is None else config.load_step + 1
    step = None if config.load_checkpoint is None else step_of(config.load_checkpoint)
    return 0 if step is None else step + 1


def _what_it_lists(split_file: Path) -> str:
    """Each run has a copy of its own, so that the path says nothing; the path where it is gone."""
    try:
        return "sha256:" + hashlib.sha256(split_file.read_bytes()).hexdigest()[:8]
    except OSError:
        return str(split_file)


def name_settings(methods: Sequence[str], settings: Sequence[dict[str, str]]) -> list[str]:
    """For each run its method and, where runs of that method differ in options, these: ``nerf-hash-custom log2_table_size=15``.

    Args:
        methods: of the runs.
        settings: theirs, from `settings_of`.
    """
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for method, options in zip(methods, settings):
        for name in {key for m, other in zip(methods, settings) if m == method for key in other}:
            values[method, name].add(options.get(name, "-"))
    names = []
    for method, options in zip(methods, settings):
        differing = sorted(n for (m, n), found in values.items() if m == method and len(found) > 1)
        names.append(" ".join([method, *[f"{_ending(n, differing)}={options.get(n, '-')}" for n in differing]]))
    return names


def _ending(name: str, names: Sequence[str]) -> str:
    """As much of a dotted name's end as no other of the names has."""
    parts = name.split(".")
    endings = (".".join(parts[-n:]) for n in range(1, len(parts)))
    return next((e for e in endings if sum(f".{other}".endswith(f".{e}") for other in names) == 1), name)


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if dataclasses.is_dataclass(node):
        members = {f.name: getattr(node, f.name, None) for f in dataclasses.fields(node)}
    elif isinstance(node, dict):
        members = node
    else:
        yield prefix, str(node)
        return
    for key, value in members.items():
        yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
