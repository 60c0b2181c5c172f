"""Encodings of coordinates. ``ENCODINGS`` lists those that a field's config can name as its ``encoding``."""

from nerf_plugins.fields.encodings.base import Encoding, EncodingConfig, cones_of
from nerf_plugins.fields.encodings.frequency import FrequencyEncoding, FrequencyEncodingConfig
from nerf_plugins.fields.encodings.hash import HashEncoding, HashEncodingConfig
from nerf_plugins.fields.encodings.integrated import IntegratedEncoding, IntegratedEncodingConfig
from nerf_plugins.fields.encodings.k_planes import KPlanesEncoding, KPlanesEncodingConfig
from nerf_plugins.fields.encodings.spherical_harmonics import SphericalHarmonics, SphericalHarmonicsConfig
from nerf_plugins.fields.encodings.tensor import TensorEncoding, TensorEncodingConfig
from nerf_plugins.fields.encodings.windowed import WindowedEncoding, WindowedEncodingConfig

ENCODINGS: dict[str, type[EncodingConfig]] = {
    "frequency": FrequencyEncodingConfig,
    "hash": HashEncodingConfig,
    "k-planes": KPlanesEncodingConfig,
    "integrated": IntegratedEncodingConfig,
    "spherical-harmonics": SphericalHarmonicsConfig,
    "tensor": TensorEncodingConfig,
    "windowed": WindowedEncodingConfig,
}
"""By name; each is tested for what :class:`Encoding` promises."""

__all__ = [
    "ENCODINGS",
    "Encoding",
    "EncodingConfig",
    "FrequencyEncoding",
    "FrequencyEncodingConfig",
    "HashEncoding",
    "HashEncodingConfig",
    "IntegratedEncoding",
    "IntegratedEncodingConfig",
    "KPlanesEncoding",
    "KPlanesEncodingConfig",
    "SphericalHarmonics",
    "SphericalHarmonicsConfig",
    "TensorEncoding",
    "TensorEncodingConfig",
    "WindowedEncoding",
    "WindowedEncodingConfig",
    "cones_of",
]
