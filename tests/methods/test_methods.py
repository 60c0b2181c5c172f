"""Every method that pyproject.toml names to nerfstudio."""

import copy
import importlib
from pathlib import Path

import pytest
import torch
from nerfstudio.data.scene_box import SceneBox

from nerf_plugins.engine.presets import resolve_presets
from nerf_plugins.engine.trainer import check_groups

tomllib = importlib.import_module("tomllib" if importlib.util.find_spec("tomllib") else "tomli")
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
METHODS = PROJECT["entry-points"]["nerfstudio.method_configs"]


def method_config(name: str):
    module, _, attribute = METHODS[name].partition(":")
    return copy.deepcopy(getattr(importlib.import_module(module), attribute).config)


@pytest.mark.parametrize("inside", [False, True], ids=["box", "no bounds"])
@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_its_entrys_name_and_an_optimiser_for_each_group(name: str, inside: bool):
    """In a box, and where cameras stand inside of it, so that other samplers are taken, which learn too."""
    config = method_config(name)
    assert config.method_name == name
    resolve_presets(config, "cpu")
    box = SceneBox(aabb=torch.tensor([[-1.0] * 3, [1.0] * 3]))
    metadata = {"times": [0.0, 0.3, 0.6, 1.0], "cameras_inside_box": inside}
    model = config.pipeline.model.setup(scene_box=box, num_train_data=4, metadata=metadata)
    groups = model.get_param_groups()
    check_groups(groups, config.optimizers)
    trained = [id(parameter) for group in groups.values() for parameter in group]
    assert len(trained) == len(set(trained))
    assert set(trained) == {id(parameter) for parameter in model.parameters() if parameter.numel()}
    parts = [id(parameter) for part in model.parts().values() for parameter in part]
    assert sorted(parts) == sorted(trained)
