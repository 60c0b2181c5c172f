"""``multiscale-data``: Blender's layout with photos of several sizes, as ``scripts/make_multiscale.py`` makes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.dataparsers.blender_dataparser import Blender, BlenderDataParserConfig
from nerfstudio.plugins.registry_dataparser import DataParserSpecification

from nerf_plugins.images.reading import read_header


@dataclass
class MultiscaleDataParserConfig(BlenderDataParserConfig):
    """Blender's layout with photos of several sizes"""

    _target: type = field(default_factory=lambda: MultiscaleDataParser, kw_only=True)
    """target class to instantiate"""


class MultiscaleDataParser(Blender):
    """nerfstudio's own, which takes all photos to be as large as the first; here each camera has the size of its photo. All have the same
    angle of view, ``camera_angle_x``.
    """

    config: MultiscaleDataParserConfig

    def _generate_dataparser_outputs(self, split: str = "train", **kwargs: Any) -> DataparserOutputs:
        outputs = super()._generate_dataparser_outputs(split)
        sizes = torch.tensor([read_header(name).size for name in outputs.image_filenames])
        first = outputs.cameras
        focals = sizes[:, 0] * (first.fx / (2.0 * first.cx)).reshape(-1)
        outputs.cameras = Cameras(
            camera_to_worlds=first.camera_to_worlds,
            fx=focals.float(),
            fy=focals.float(),
            cx=0.5 * sizes[:, 0],
            cy=0.5 * sizes[:, 1],
            width=sizes[:, 0],
            height=sizes[:, 1],
            camera_type=CameraType.PERSPECTIVE,
        )
        return outputs


specification = DataParserSpecification(
    config=MultiscaleDataParserConfig(),
    description="Blender's layout with photos of several sizes (scripts/make_multiscale.py makes it).",
)
