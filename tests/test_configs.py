"""The component configurations as classes: their arguments, and what a config.yml makes of them."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from nerfstudio.configs.base_config import InstantiateConfig

import nerf_plugins.dataparsers
import nerf_plugins.methods.neus_hash
import nerf_plugins.methods.vanilla_nerf  # noqa: F401 - with the one before, makes all of them known
from nerf_plugins.dataparsers.neus import NeusDataParserConfig
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig


def below(config: type) -> Iterator[type]:
    for child in config.__subclasses__():
        yield child
        yield from below(child)


def is_component(config: type) -> bool:
    """Ours, and of something that can be made: with a target of its own."""
    return config.__module__.startswith("nerf_plugins.") and "_target" in config.__annotations__


COMPONENTS = sorted({config for config in below(InstantiateConfig) if is_component(config)}, key=lambda c: c.__name__)


def test_they_are_found():
    assert len(COMPONENTS) >= 14
    assert {NeRFHashConfig, NeusDataParserConfig} <= set(COMPONENTS)


@pytest.mark.parametrize("config", COMPONENTS, ids=lambda config: config.__name__)
def test_the_target_is_no_positional_argument(config: type):
    """nerfstudio's base class declares it first, so that the first argument would take its place unseen."""
    assert inspect.signature(config).parameters["_target"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    "config",
    [NeRFHashConfig(HashEncodingConfig(n_levels=3), width=32), NeusDataParserConfig(Path("a"))],
    ids=["field", "data"],
)
def test_positional_arguments_and_a_config_yml(config: InstantiateConfig):
    again = yaml.load(yaml.dump(config), Loader=yaml.Loader)
    assert again == config
    assert again._target is type(config)()._target


def test_the_first_argument_is_the_first_option():
    assert NeRFHashConfig(HashEncodingConfig(n_levels=3)).encoding.n_levels == 3
    assert NeusDataParserConfig(Path("a")).data == Path("a")
