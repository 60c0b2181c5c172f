"""The held-out images of a dataset that does not say which, or has too few for any."""

from __future__ import annotations

from dataclasses import replace

from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataparserOutputs
from nerfstudio.data.dataparsers.blender_dataparser import BlenderDataParserConfig
from nerfstudio.data.dataparsers.dnerf_dataparser import DNeRFDataParserConfig
from nerfstudio.data.dataparsers.instant_ngp_dataparser import InstantNGPDataParserConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig

from nerf_plugins.console import warn
from nerf_plugins.data.frames import select_frames
from nerf_plugins.data.transforms import frame_files, read_transforms
from nerf_plugins.wording import counted


def held_out_images(dataparser: DataParser, train: DataparserOutputs, split: str) -> DataparserOutputs:
    """A dataset's own images to evaluate on.

    A dataset that names images for validation but none for testing is tested on those for validation; the other way round nothing stands
    in, or the test images would be seen in training. One of so few photos that its dataparser holds none out is evaluated on one that is
    trained on. Both are said.

    Args:
        dataparser: to ask.
        train: its training split.
        split: "val" or "test".
    """
    if split == "test" and lacks_test_images(dataparser):
        warn("The dataset lists no images for testing: those for validation stand in.")
        split = "val"
    outputs = _with_camera(dataparser, dataparser.get_dataparser_outputs(split=split))
    if outputs.image_filenames or not train.image_filenames or _lists_images(dataparser):
        return outputs
    middle = len(train.image_filenames) // 2
    warn(
        f"Of {counted(len(train.image_filenames), 'photo')} none is held out: "
        f"evaluation shows {train.image_filenames[middle].name}, which is trained "
        "on, so its figures are too good."
    )
    return select_frames(train, [middle])


def lacks_test_images(dataparser: DataParser) -> bool:
    """Whether a dataset names its images for training and validation, but none for testing."""
    config = dataparser.config
    if isinstance(config, (BlenderDataParserConfig, DNeRFDataParserConfig)):
        names = [path.name for path in frame_files(config)]
        return "transforms_val.json" in names and "transforms_test.json" not in names
    return _lists_images(dataparser) and "test" not in read_transforms(frame_files(config)[0]).lists


def _lists_images(dataparser: DataParser) -> bool:
    """Whether the dataset's file has lists of images for the splits."""
    config = dataparser.config
    files = frame_files(config) if isinstance(config, NerfstudioDataParserConfig) else []
    return bool(files) and bool(read_transforms(files[0]).lists)


def _with_camera(dataparser: DataParser, outputs: DataparserOutputs) -> DataparserOutputs:
    """The single held-out image of instant-ngp's dataparser, whose pose it cuts in the wrong place, taken out of all images."""
    config = dataparser.config
    if not isinstance(config, InstantNGPDataParserConfig) or outputs.cameras.camera_to_worlds.ndim != 2:
        return outputs
    whole = replace(config, eval_mode="all").setup().get_dataparser_outputs()
    return select_frames(whole, [whole.image_filenames.index(outputs.image_filenames[0])])
