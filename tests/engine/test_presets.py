import copy
from dataclasses import dataclass, field

import pytest
import tyro
import yaml
from nerfstudio.configs.method_configs import all_methods

from nerf_plugins.engine.presets import by_device, default_device, resolve_presets


@dataclass
class Inner:
    size: int = by_device(cpu=16, cuda=19)
    share: float = by_device(cpu=0.5, cuda=0.25)


@dataclass
class Outer:
    inner: Inner = field(default_factory=Inner)
    groups: dict = field(default_factory=lambda: {"a": {"b": Inner()}})


def test_a_preset_is_a_number_of_this_machines_device():
    assert Inner().size == {"cpu": 16, "cuda": 19}[default_device()]
    assert isinstance(Inner().size, int)
    assert isinstance(Inner().share, float)


@pytest.mark.parametrize(("device", "expected"), [("cpu", (16, 0.5)), ("cuda", (19, 0.25)), ("mps", (16, 0.5))])
def test_presets_are_resolved_wherever_they_are(device: str, expected: tuple):
    config = Outer()
    resolve_presets(config, device)
    for inner in (config.inner, config.groups["a"]["b"]):
        assert (inner.size, inner.share) == expected
        assert (type(inner.size), type(inner.share)) == (int, float)


def test_what_a_user_gives_stays_though_it_is_the_other_devices():
    config = tyro.cli(Outer, args=["--inner.size", "19"])
    resolve_presets(config, "cpu")
    assert (config.inner.size, config.inner.share) == (19, 0.5)


def test_presets_of_a_method_survive_the_command_line_and_a_config_yml_holds_numbers():
    method = all_methods["nerf-hash-custom"]
    config = tyro.cli(type(method), default=copy.deepcopy(method), args=[])
    resolve_presets(config, "cuda")
    assert config.pipeline.model.field.encoding.log2_table_size == 19
    assert config.pipeline.model.occupancy.budget.samples_per_batch == 1 << 18
    assert "ByDevice" not in yaml.dump(config)
    assert method.pipeline.model.field.encoding.log2_table_size == {"cpu": 16, "cuda": 19}[default_device()]
