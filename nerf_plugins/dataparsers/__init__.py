"""Dataparsers: `demo-data` and `llff-data`."""

from nerf_plugins.dataparsers.demo import DemoDataParser, DemoDataParserConfig
from nerf_plugins.dataparsers.llff import LLFFDataParser, LLFFDataParserConfig

__all__ = ["DemoDataParser", "DemoDataParserConfig", "LLFFDataParser", "LLFFDataParserConfig"]
