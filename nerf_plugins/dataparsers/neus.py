"""``neus-data``: objects in the layout of NeuS and IDR: ``image/``, ``mask/`` and ``cameras_sphere.npz`` (DTU, BlendedMVS).

The cameras' file holds two 4x4 matrices for each view ``i``, in the order of the images' names: ``world_mat_i``, which projects
homogeneous world points to pixels, and ``scale_mat_i``, which takes the scene, where the object lies in the unit sphere, to the
world. With

    P = (world_mat_i scale_mat_i)[:3] = λ K [R | -R c],

``K`` (upper triangular, ``K_33 = 1``) and ``R`` are the RQ decomposition of P's left 3x3 part with the signs that make K's diagonal
positive, and ``c`` is where P vanishes. Nothing but the scale matrix is applied, so that nerfstudio's scene is NeuS's:
``world = scale_mat scene``.

NeuS calls the centre of the first pixel (0, 0), nerfstudio (0.5, 0.5): half a pixel is added to the principal point.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataParserConfig, DataparserOutputs
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.plugins.registry_dataparser import DataParserSpecification
from nerfstudio.utils.colors import COLORS_DICT, get_color

from nerf_plugins.console import warn
from nerf_plugins.dataparsers.images import check_holdout, image_size, list_images, order_for_cameras, split_indices
from nerf_plugins.errors import InputError
from nerf_plugins.images.masks import same_shape
from nerf_plugins.images.pairing import pair_by_name
from nerf_plugins.images.reading import Header, check_readable, read_header
from nerf_plugins.wording import counted

SAME_SCALE = 1e-4
"""Scale matrices that differ by less than this part of their scale count as equal."""


@dataclass
class NeusDataParserConfig(DataParserConfig):
    """Objects in the layout of NeuS and IDR (image/, mask/, cameras_sphere.npz)."""

    _target: type = field(default_factory=lambda: NeusDataParser, kw_only=True)
    """target class to instantiate"""
    data: Path = Path("data/dtu_scan24")
    """Folder with image/, the cameras and, where there are masks, mask/."""
    cameras: str = "cameras_sphere.npz"
    """File of the cameras in that folder; NeuS trains scenes without masks on cameras_large.npz where there is one."""
    masks: Literal["alpha", "ignore"] = "alpha"
    """alpha: where there is mask/, it is the images' alpha channel, which says what is object. ignore: the images as they are."""
    alpha_color: str | None = "white"
    """What masked images are evaluated over: white, black, red, green or blue. None keeps their alpha channel."""
    image_order: Literal["natural", "strings"] = "natural"
    """How the cameras count the images where these are not numbered from 0: natural: 2.png before 10.png. strings: after it."""
    holdout_every: int = 8
    """Views 0, N, 2N ... are held out of training, for validation and test."""
    train_on_all: bool = False
    """Train on the held-out views too, as for published meshes; held-out figures then say nothing."""


@dataclass
class NeusDataParser(DataParser):
    """Reads images, masks and cameras; the scene is the space in which the object lies in the unit sphere."""

    config: NeusDataParserConfig
    layout_files: ClassVar[tuple[str, ...]] = ("cameras_sphere.npz", "cameras_large.npz")
    """Files of which one tells the layout, for whoever advises which dataparser to use."""

    def __init__(self, config: NeusDataParserConfig):
        super().__init__(config=config)
        check_holdout(config.holdout_every)
        if config.alpha_color is not None and config.alpha_color.lower() not in COLORS_DICT:
            raise InputError(f"alpha_color {config.alpha_color!r}: give one of {', '.join(COLORS_DICT)}, or None")

    def _generate_dataparser_outputs(self, split: str = "train", **kwargs: Any) -> DataparserOutputs:
        data = self.config.data.expanduser()
        matrices = read_matrices(data / self.config.cameras)
        images = _images(data, "image")
        _check_count(images, len(matrices.world), data / self.config.cameras)
        images = order_for_cameras(images, len(images), self.config.image_order == "strings")
        masks = self._masks(data, images)
        chosen = split_indices(len(images), self.config.holdout_every, split)
        if split == "train" and self.config.train_on_all:
            chosen = list(range(len(images)))
        for path in [images[i] for i in chosen] + [masks[i] for i in chosen if masks]:
            check_readable(path)
        transform, scale = world_to_scene(matrices.scale[0], data / self.config.cameras)
        return DataparserOutputs(
            image_filenames=[images[i] for i in chosen],
            cameras=_cameras(matrices, images, chosen),
            alpha_color=get_color(self.config.alpha_color) if masks and self.config.alpha_color else None,
            scene_box=SceneBox(aabb=torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])),
            metadata={"alpha_filenames": [masks[i] for i in chosen]} if masks else {},
            dataparser_transform=torch.from_numpy(transform.astype(np.float32)),
            dataparser_scale=scale,
        )

    def _masks(self, data: Path, images: list[Path]) -> list[Path]:
        """The masks, one for each image, or none."""
        if self.config.masks == "ignore" or not (data / "mask").is_dir():
            return []
        masks = _images(data, "mask")
        paired = pair_by_name(images, masks, "mask")
        if paired is None:
            if len(masks) != len(images):
                raise InputError(
                    f"{data}: {counted(len(images), 'image')}, but {counted(len(masks), 'mask')}; "
                    "each image needs its mask, of the same name or number"
                )
            paired = order_for_cameras(masks, len(images), self.config.image_order == "strings")
            warn(
                f"{data}: the masks' names do not tell their images; {paired[0].name} is taken for {images[0].name}, and so on"
            )
        for image, mask in zip(images, paired, strict=True):
            size, mask_size = image_size(image), image_size(mask)
            if not same_shape(size, mask_size) and not same_shape(size, (mask_size[1], mask_size[0])):
                raise InputError(
                    f"{mask}: is {mask_size[0]}x{mask_size[1]} pixels, but its image {image.name} {size[0]}x{size[1]}; both need one shape"
                )
        return paired


specification = DataParserSpecification(
    config=NeusDataParserConfig(),
    description="Objects in the layout of NeuS and IDR (image/, mask/, cameras_sphere.npz): DTU, BlendedMVS.",
)


class Matrices(NamedTuple):
    """What the cameras' file says of the views: the matrices ``world`` and ``scale``, and whence it is, for messages."""

    world: Float[np.ndarray, "n_views 4 4"]
    scale: Float[np.ndarray, "n_views 4 4"]
    path: Path


def read_matrices(path: Path) -> Matrices:
    """Read and check ``world_mat_i`` and ``scale_mat_i``; where the scale matrices differ, all views get the first.

    Raises:
        InputError: a matrix is missing, is not finite or no 4x4 matrix, or a scale matrix is not what ``world_to_scene`` needs.
    """
    arrays = _load(path)
    numbers = [int(m[1]) for m in (re.fullmatch(r"(?:world|scale)_mat_(\d+)", name) for name in arrays) if m]
    if not numbers:
        raise InputError(f"{path}: has no world_mat_0 and scale_mat_0; it must hold both for each view")
    world, scale = (
        np.stack([_matrix(arrays, f"{kind}_mat_{i}", path) for i in range(max(numbers) + 1)])
        for kind in ("world", "scale")
    )
    for i in range(len(scale)):
        world_to_scene(scale[i], path, f"scale_mat_{i}")
    difference = np.abs(scale - scale[0]).max(axis=(1, 2)) / np.abs(scale[0]).max()
    if (difference > SAME_SCALE).any():
        i = int(difference.argmax())
        warn(f"{path}: scale_mat_{i} differs from scale_mat_0, which is taken for all views.")
    return Matrices(world, np.broadcast_to(scale[0], scale.shape), path)


def world_to_scene(
    scale_mat: Float[np.ndarray, "4 4"], path: Path, name: str = "scale_mat_0"
) -> tuple[Float[np.ndarray, "3 4"], float]:
    """Nerfstudio's form of the inverse of a scale matrix.

    Returns:
        ``T``, a rotation and a translation, and ``s``, with ``scene = s (T_R world + T_t)``.

    Raises:
        InputError: the matrix is no uniform scale, rotation and translation, so that the scene would be distorted.
    """
    left = scale_mat[:3, :3]
    determinant = float(np.linalg.det(left))
    tiny = 1e-12 * float(np.abs(left).max()) ** 3
    if determinant <= tiny:
        what = "mirrored" if determinant < -tiny else "singular"
        raise InputError(f"{path}: {name} is {what} (determinant {determinant:.3g}); it must scale by a number above 0")
    size = determinant ** (1.0 / 3.0)
    rotation = left / size
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > 1e-3 or np.abs(scale_mat[3] - [0.0, 0.0, 0.0, 1.0]).max() > 1e-6:
        raise InputError(
            f"{path}: {name} does more than scale all axes alike, turn and shift (off by {error:.3g}), so the scene would be "
            "distorted; use cameras with a sphere"
        )
    return np.concatenate([rotation.T, -rotation.T @ scale_mat[:3, 3:]], axis=1), 1.0 / size


def decompose(
    projection: Float[np.ndarray, "3 4"],
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3 4"]]:
    """K and the camera-to-world matrix in nerfstudio's axes (x right, y up, looking along -z) of ``P``.

    Raises:
        numpy.linalg.LinAlgError: the left 3x3 part is singular.
    """
    left = projection[:, :3]
    # RQ of M is the QR of M, read from the last corner: M = (J R' J) (J Q'), with J the exchange of rows.
    q, r = np.linalg.qr(left[::-1].T)
    k, rotation = r.T[::-1, ::-1], q.T[::-1]
    signs = np.where(np.diag(k) < 0.0, -1.0, 1.0)
    k, rotation = k * signs, signs[:, None] * rotation
    if np.linalg.det(rotation) < 0.0:  # P's own sign is not determined
        rotation = -1.0 * rotation
    position = -np.linalg.solve(left, projection[:, 3])
    pose = np.concatenate([rotation.T * [1.0, -1.0, -1.0], position[:, None]], axis=1)
    return k / k[2, 2], pose


def _cameras(matrices: Matrices, images: list[Path], chosen: list[int]) -> Cameras:
    intrinsics, poses, sizes = [], [], []
    for i in chosen:
        try:
            k, pose = decompose((matrices.world[i] @ matrices.scale[i])[:3])
        except np.linalg.LinAlgError:
            raise InputError(
                f"{matrices.path}: world_mat_{i} is singular; it must project the scene to pixels"
            ) from None
        width, height = _fitting_size(read_header(images[i]), k)
        _check_intrinsics(k, width, height, f"{matrices.path}: world_mat_{i}", images[i])
        intrinsics.append([k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5])
        poses.append(pose)
        sizes.append([width, height])
    fx, fy, cx, cy = torch.tensor(intrinsics, dtype=torch.float32).T
    width, height = torch.tensor(sizes).T
    return Cameras(
        camera_to_worlds=torch.from_numpy(np.stack(poses).astype(np.float32)),
        fx=fx,
        fy=fy,
        cx=cx,
        cy=cy,
        width=width,
        height=height,
        camera_type=CameraType.PERSPECTIVE,
    )


def _fitting_size(header: Header, k: Float[np.ndarray, "3 3"]) -> tuple[int, int]:
    """Width and height of a photo as shown, or as stored if the principal point is nearer to the middle of that."""
    return min(header.size, header.stored_size, key=lambda size: float(np.abs(k[:2, 2] - np.array(size) / 2.0).sum()))


def _check_intrinsics(k: Float[np.ndarray, "3 3"], width: int, height: int, where: str, image: Path) -> None:
    if not (0.0 <= k[0, 2] <= width and 0.0 <= k[1, 2] <= height):
        raise InputError(
            f"{where}: the camera's axis meets the image at pixel ({k[0, 2]:.6g}, {k[1, 2]:.6g}), outside {image.name} with "
            f"{width}x{height} pixels; the cameras must be those of the images as they are"
        )
    # Pixels by which the skew moves the image's upper edge; nerfstudio's cameras have none.
    skew = abs(k[0, 1]) / k[1, 1] * 0.5 * height
    if skew > 1.0:
        raise InputError(
            f"{where}: has a skew of {skew:.3g} pixels at the image's edge; nerfstudio's cameras have none"
        )


def _load(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such file; --data must be a folder in NeuS's layout, --cameras a file in it"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, KeyError) as e:
        raise InputError(f"{path}: not a readable archive of matrices ({e}); copy it again") from e


def _matrix(arrays: dict[str, np.ndarray], name: str, path: Path) -> Float[np.ndarray, "4 4"]:
    if name not in arrays:
        raise InputError(f"{path}: {name} is missing; it must hold world_mat_i and scale_mat_i for each view")
    matrix = arrays[name]
    if matrix.shape != (4, 4) or matrix.dtype.kind not in "fiu":
        raise InputError(f"{path}: {name} is {matrix.dtype} {matrix.shape}; it must be a 4x4 matrix")
    if not np.isfinite(matrix).all():
        raise InputError(f"{path}: {name} has a value that is not finite; compute the cameras again")
    return matrix.astype(np.float64)


def _images(data: Path, name: str) -> list[Path]:
    if not (data / name).is_dir():
        raise InputError(f"{data}: there is no folder {name}; --data must be a folder in NeuS's layout")
    return list_images(data / name)


def _check_count(images: list[Path], views: int, path: Path) -> None:
    if len(images) != views:
        raise InputError(
            f"{images[0].parent}: {counted(len(images), 'image')}, but {path.name} has {counted(views, 'camera')}; "
            "each image needs its camera, in the order of the names"
        )
