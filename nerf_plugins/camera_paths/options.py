"""The options of ``nerf-plugins camera-path``: a subcommand for each shape; imports nothing heavy, so that the command line is quick.

Lengths and positions are in the space of the run's model, in which nerfstudio renders: the dataparser has usually moved and scaled the
input's world.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated

import tyro

from nerf_plugins.camera_paths.shapes.base import PathOptions
from nerf_plugins.camera_paths.shapes.cone import ConeOptions
from nerf_plugins.camera_paths.shapes.dolly import DollyOptions
from nerf_plugins.camera_paths.shapes.interpolate import InterpolateOptions
from nerf_plugins.camera_paths.shapes.orbit import OrbitOptions
from nerf_plugins.camera_paths.shapes.spiral import SpiralOptions

SHAPES: tuple[type[PathOptions], ...] = (OrbitOptions, SpiralOptions, ConeOptions, DollyOptions, InterpolateOptions)
"""The one list of them."""

CameraPathOptions = reduce(or_, [Annotated[shape, tyro.conf.subcommand(shape.shape)] for shape in SHAPES])
