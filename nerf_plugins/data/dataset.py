"""nerfstudio's image dataset with our reader: files of any kind, errors that name them, and a word on what is odd."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.datasets.base_dataset import InputDataset
from PIL import Image
from torch import Tensor

from nerf_plugins.console import Remark
from nerf_plugins.errors import InputError
from nerf_plugins.images.masks import read_alpha, read_mask
from nerf_plugins.images.reading import Header, read_header, read_image
from nerf_plugins.wording import counted

_ODD_SHARE = 0.01
"""Masks that keep less of the pixels than this, or leave out less, are probably not what was meant."""


class CheckedDataset(InputDataset):
    """Images, masks and alpha channels in the size of their cameras.

    A dataparser whose alpha channels are files of their own lists these as ``metadata["alpha_filenames"]``, one for each image: grey,
    0 where nothing of the scene is. They take the place of the images' own alpha. If any image has alpha and it is not blended, those
    without get an alpha of 1.

    A photo is turned as its EXIF orientation says, unless only the stored pixels have its camera's size. Where the size says nothing
    (half turns, square photos) it is not turned if quarter turns of the same dataset say so.

    Args:
        dataparser_outputs: the images and cameras.
        scale_factor: of the images' size.
        keep_alpha: give RGBA images as they are instead of blending.
    """

    def __init__(
        self, dataparser_outputs: DataparserOutputs, scale_factor: float = 1.0, keep_alpha: bool = False
    ) -> None:
        if keep_alpha:
            dataparser_outputs = replace(dataparser_outputs, alpha_color=None)
        super().__init__(dataparser_outputs, scale_factor)
        for name in ("fx", "fy", "cx", "cy"):  # float64 from Blender's parser, with which ns-render spiral fails
            setattr(self.cameras, name, getattr(self.cameras, name).float())
        self.alpha_filenames: list[Path] | None = self.metadata.get("alpha_filenames")
        self.kept_shares: dict[int, float] = {}
        """By image, the share of the pixels that its mask keeps, or its mean alpha; of the images that were read."""

    @cached_property
    def has_alpha(self) -> bool:
        """Whether the images are given with an alpha channel."""
        return self._dataparser_outputs.alpha_color is None and self.shows_outlines

    @cached_property
    def shows_outlines(self) -> bool:
        """Whether there is an alpha channel, by the files' headers: given with the images or blended."""
        return self.alpha_filenames is not None or any(header.has_alpha for header in self.headers if header)

    @cached_property
    def headers(self) -> list[Header | None]:
        """What the files say of their pictures; None of those that cannot be opened, which is said when they are read."""
        return [_header_or_none(name) for name in self.image_filenames]

    @cached_property
    def are_as_stored(self) -> list[bool]:
        """Of which images the pixels stay where the file has them, in spite of an EXIF orientation."""
        votes = [_fits_as_stored(header, self._camera_size(i)) for i, header in enumerate(self.headers)]
        stored_only = True in votes and False not in votes
        return [stored_only if vote is None else vote for vote in votes]

    def get_data(self, image_idx: int, image_type: Literal["uint8", "float32"] = "float32") -> dict[str, Any]:
        """The image and what belongs to it: ``image_idx``, ``image`` and, where there are masks, ``mask`` (H, W, 1).

        Raises:
            InputError: the image or its mask cannot be decoded, or has the wrong size, or the mask leaves nothing.
        """
        image = self.get_image_float32(image_idx) if image_type == "float32" else self.get_image_uint8(image_idx)
        data: dict[str, Any] = {"image_idx": image_idx, "image": image}
        if self._dataparser_outputs.mask_filenames is not None:
            data["mask"] = torch.from_numpy(self.get_mask(image_idx))[..., None]
            if self.mask_color:
                color = torch.tensor(self.mask_color) * (1.0 if image.is_floating_point() else 255.0)
                data["image"] = _behind_mask(image, data["mask"], color.to(image))
        return data | self.get_metadata(data)

    def get_mask(self, image_idx: int) -> Bool[np.ndarray, "height width"]:
        """Which pixels of an image with a mask are used.

        Raises:
            InputError: the mask cannot be read, has another shape than the image, or leaves nothing.
        """
        masks = self._dataparser_outputs.mask_filenames
        assert masks is not None
        photo = self.image_filenames[image_idx]
        mask = read_mask(masks[image_idx], self._read_size(image_idx), photo)
        share = self.kept_shares[image_idx] = float(mask.mean())
        if share == 0:
            raise InputError(
                f"mask {masks[image_idx]} leaves nothing of image {photo}: white is what is used; invert it or remove the frame"
            )
        return mask

    def get_image_float32(self, image_idx: int) -> Float[Tensor, "height width channels"]:
        """The image, RGB or RGBA in [0, 1]."""
        return _with_opaque_alpha(super().get_image_float32(image_idx), self.has_alpha, 1.0)

    def get_image_uint8(self, image_idx: int) -> UInt8[Tensor, "height width channels"]:
        """The image, RGB or RGBA in 0 ... 255."""
        return _with_opaque_alpha(super().get_image_uint8(image_idx), self.has_alpha, 255)

    def get_numpy_image(self, image_idx: int) -> UInt8[np.ndarray, "height width channels"]:
        """The image as the file has it, RGB or RGBA in 0 ... 255.

        Raises:
            InputError: it cannot be decoded, or has another size than its camera.
        """
        name, wanted = self.image_filenames[image_idx], self._camera_size(image_idx)
        image = read_image(name, self.are_as_stored[image_idx])
        size = (image.shape[1], image.shape[0])
        if size != wanted:
            raise InputError(_size_problem(name, size, wanted, self.headers[image_idx]))
        if self.scale_factor != 1.0:
            image = np.asarray(Image.fromarray(image).resize(self._read_size(image_idx), Image.Resampling.BILINEAR))
        if self.alpha_filenames is not None:
            alpha = read_alpha(self.alpha_filenames[image_idx], self._read_size(image_idx), name)
            image = np.concatenate([image[..., :3], alpha[..., None]], axis=-1)
        if image.shape[-1] == 4:
            self.kept_shares[image_idx] = float(image[..., 3].mean()) / 255.0
        return image

    def get_alpha(self, image_idx: int) -> UInt8[np.ndarray, "height width"] | None:
        """The image's alpha channel if it has one."""
        image = self.get_numpy_image(image_idx)
        return image[..., 3] if image.shape[-1] == 4 else None

    def remarks(self) -> list[Remark]:
        """What was found in the images that have been read, for the user."""
        remarks = [_orientation_remark(self.headers, self.are_as_stored), _share_remark(self), _mixture_remark(self)]
        return [remark for remark in remarks if remark]

    def _camera_size(self, image_idx: int) -> tuple[int, int]:
        """(width, height) of the camera before it is scaled."""
        cameras = self._dataparser_outputs.cameras
        return int(cameras.width[image_idx]), int(cameras.height[image_idx])

    def _read_size(self, image_idx: int) -> tuple[int, int]:
        """(width, height) as given."""
        return int(self.cameras.width[image_idx]), int(self.cameras.height[image_idx])


def _behind_mask(image: Tensor, mask: Bool[Tensor, "height width 1"], color: Float[Tensor, "3"]) -> Tensor:
    """The image with another colour where the mask leaves it out; opaque there."""
    if image.shape[-1] == 4:
        color = torch.cat([color, color.new_full((1,), 1.0 if image.is_floating_point() else 255.0)])
    return torch.where(mask, image, color)


def _with_opaque_alpha(image: Tensor, has_alpha: bool, opaque: float) -> Tensor:
    if not has_alpha or image.shape[-1] == 4:
        return image
    return torch.cat([image, torch.full_like(image[..., :1], opaque)], dim=-1)


def _header_or_none(name: Path) -> Header | None:
    try:
        return read_header(name)
    except InputError:
        return None


def _fits_as_stored(header: Header | None, camera: tuple[int, int]) -> bool | None:
    """Whether only the stored pixels have the camera's size (True), only the turned ones (False), or both or none (None)."""
    if header is None or header.size == header.stored_size:
        return None
    return {(True, False): True, (False, True): False}.get((header.stored_size == camera, header.size == camera))


def _size_problem(name: Path, size: tuple[int, int], wanted: tuple[int, int], header: Header | None) -> str:
    orientation = header.orientation if header else 1
    exif = f" as its EXIF orientation {orientation} turns it" if orientation > 1 else ""
    problem = f"image {name} has {size[0]}x{size[1]} pixels{exif}, but its camera {wanted[0]}x{wanted[1]}"
    folder = re.fullmatch(r"\w+_(\d+)", name.parent.name)
    if folder and 0 <= size[0] - wanted[0] <= 1 and 0 <= size[1] - wanted[1] <= 1:
        return (
            f"{problem}: {name.parent.name} was rounded up, nerfstudio rounds down; make it again with the camera's size, or use "
            "the full images with --downscale-factor 1 after the dataparser's name"
        )
    if size == wanted[::-1]:
        turned = "does not fit it either way" if exif else "was turned after the cameras were computed, or they before"
        return f"{problem}: the photo {turned}; swap w and h (and fl, cx, cy) of its frame, or turn the photo back"
    return f"{problem}: all images of this dataset must have the size that the dataparser expects"


def _orientation_remark(headers: Sequence[Header | None], are_as_stored: Sequence[bool]) -> Remark | None:
    turned = [stored for header, stored in zip(headers, are_as_stored) if header and header.orientation > 1]
    if not turned:
        return None
    parts = [
        f"{turned.count(False)} are turned by it" if False in turned else "",
        f"{turned.count(True)} are left as stored, as their cameras' sizes say" if True in turned else "",
    ]
    return Remark(
        f"{len(turned)} of {len(headers)} images have an EXIF orientation: {' and '.join(filter(None, parts))}."
    )


def _share_remark(dataset: CheckedDataset) -> Remark | None:
    """What share is masked; for alpha what share is transparent."""
    if not dataset.kept_shares:
        return None
    has_masks = dataset._dataparser_outputs.mask_filenames is not None
    what, left_out = ("masks", "masked out") if has_masks else ("alpha channels", "transparent")
    shares = dataset.kept_shares
    mean = 1.0 - sum(shares.values()) / len(shares)
    line = f"{100 * mean:.3g} % of the pixels are {left_out} ({what} of {counted(len(shares), 'image')})"
    low = min(shares, key=lambda i: shares[i])
    advice = ": is what is used white?" if has_masks else ""
    if shares[low] < _ODD_SHARE:
        left = f"of {dataset.image_filenames[low].name} only {100 * shares[low]:.2g} % is left"
        return Remark(f"{line}; {left}{advice}", is_odd=True)
    if mean < _ODD_SHARE:
        return Remark(f"{line}; almost nothing{advice}", is_odd=True)
    return Remark(f"{line}.")


def _mixture_remark(dataset: CheckedDataset) -> Remark | None:
    if not dataset.has_alpha or dataset.alpha_filenames is not None:
        return None
    opaque = [name for name, header in zip(dataset.image_filenames, dataset.headers) if header and not header.has_alpha]
    if not opaque:
        return None
    return Remark(
        f"{len(opaque)} of {len(dataset)} images have no alpha channel ({opaque[0].name}): all of them counts as scene, background too.",
        is_odd=True,
    )
