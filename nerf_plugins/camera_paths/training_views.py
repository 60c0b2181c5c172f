"""The views of a run's dataset, without its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.engine.trainer import TrainerConfig

from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.data.names import dataset_folder, image_names
from nerf_plugins.data.subset import evaluation_images, training_images
from nerf_plugins.errors import InputError


class Views(NamedTuple):
    """The views of a split.

    Attributes:
        cameras: as the dataparser gave them.
        poses: camera-to-world, float64, in the space of the run's model.
        paths: of the images.
        names: the paths within the dataset's folder.
    """

    cameras: Cameras
    poses: Float[np.ndarray, "n 4 4"]
    paths: list[Path]
    names: list[str]

    @property
    def fovs(self) -> Float[np.ndarray, "n"]:
        """Vertical fields of view, in degrees.

        Raises:
            InputError: the cameras have none.
        """
        if (self.cameras.camera_type != CameraType.PERSPECTIVE.value).any():
            raise InputError("the training cameras are no perspective ones; give --fov")
        height, fy = (x.reshape(-1).double().cpu().numpy() for x in (self.cameras.height, self.cameras.fy))
        return np.degrees(2.0 * np.arctan(0.5 * height / fy))

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the first image, in pixels that are squares."""
        c = self.cameras
        stretch = float(c.fy[0] / c.fx[0])
        return float(c.width[0]) * stretch, float(c.height[0])


def read_views(config: TrainerConfig, split: str) -> Views:
    """The views that a run is trained ("train") or evaluated on ("val", "test").

    Raises:
        InputError: its data are no images, are not there, or there are no views.
    """
    if not hasattr(_datamanager(config), "dataparser"):
        raise InputError(f"method {config.method_name} is not trained on images; give the config.yml of one that is")
    try:
        outputs = _read_outputs(_datamanager(config), split)
    except (OSError, AssertionError) as e:
        line = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise InputError(
            f"the run's data cannot be read ({line}); call this from the folder that the training was started in"
        ) from e
    cameras, paths = outputs.cameras, list(outputs.image_filenames)
    if len(cameras) == 0:
        raise InputError(f"the run's data have no cameras in the split {split}: check the dataset")
    poses = np.tile(np.eye(4), (len(cameras), 1, 1))
    poses[:, :3] = cameras.camera_to_worlds.double().cpu().numpy()
    poses[:, :3, :3] /= np.linalg.norm(poses[:, :3, :3], axis=1, keepdims=True)
    data = data_folder(config)
    return Views(cameras, poses, paths, image_names(paths, data))


def data_folder(config: TrainerConfig) -> Path:
    """The folder of a run's data, in which the viewer looks for camera paths."""
    return dataset_folder(_datamanager(config))


def _datamanager(config: TrainerConfig) -> Any:
    return getattr(config.pipeline, "datamanager", None)


def _read_outputs(manager: Any, split: str) -> DataparserOutputs:
    """As the data manager would."""
    if manager.data is not None:
        manager.dataparser.data = manager.data
    dataparser = manager.dataparser.setup()
    if not isinstance(manager, NerfDataManagerConfig):
        return dataparser.get_dataparser_outputs(split=split)
    train = dataparser.get_dataparser_outputs(split="train")
    if split == "train":
        return training_images(manager.subset, dataparser, train)
    return evaluation_images(manager.subset, dataparser, train, split)
