"""What nerfstudio finds through the entry points: the dataparsers of this package.

nerfstudio loads these while it imports its own data managers, so nothing here may import a data manager or trainer.
"""

from nerfstudio.plugins.registry_dataparser import DataParserSpecification

from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.dataparsers.llff import LLFFDataParserConfig
from nerf_plugins.dataparsers.neus import NeusDataParserConfig

demo_data = DataParserSpecification(
    config=DemoDataParserConfig(), description="A small analytic scene, rendered on first use; needs no --data."
)

llff_data = DataParserSpecification(
    config=LLFFDataParserConfig(),
    description="Forward-facing scenes in LLFF's layout (poses_bounds.npy, images_4, ...).",
)

neus_data = DataParserSpecification(
    config=NeusDataParserConfig(),
    description="Objects in the layout of NeuS and IDR (image/, mask/, cameras_sphere.npz): DTU, BlendedMVS.",
)
