"""Dataparsers: `demo-data`, `llff-data` and `neus-data`."""

from nerf_plugins.dataparsers.demo import DemoDataParser, DemoDataParserConfig
from nerf_plugins.dataparsers.llff import LLFFDataParser, LLFFDataParserConfig
from nerf_plugins.dataparsers.neus import NeusDataParser, NeusDataParserConfig

__all__ = [
    "DemoDataParser",
    "DemoDataParserConfig",
    "LLFFDataParser",
    "LLFFDataParserConfig",
    "NeusDataParser",
    "NeusDataParserConfig",
]
