"""Pixel sampling: from the centre of the images for the first steps, from what masks keep, where there is detail, and from images of
several sizes.

Where there are no masks, nothing waits for the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from nerfstudio.data.pixel_samplers import PixelSampler, PixelSamplerConfig
from torch import Tensor

from nerf_plugins.data.detail import CANDIDATES, around, choose_detailed, local_detail
from nerf_plugins.data.sparse_depths import SparseDepths
from nerf_plugins.errors import InputError


@dataclass
class CentreCropPixelSamplerConfig(PixelSamplerConfig):
    """Random pixels; in the first steps only from the centre of the images."""

    _target: type = field(default_factory=lambda: CentreCropPixelSampler, kw_only=True)
    """target class to instantiate"""
    crop_steps: int = 500
    """Training steps with the crop. It keeps the field from learning first that everything is background."""
    crop_fraction: float = 0.5
    """Side of the cropped part, as a share of the image's."""
    depth_share: float = 0.0
    """Share of the rays of a batch that go through sparse points of process-data, whose depth is learnt (the model's depth_loss_mult).
    It helps where photos are few: 0.25."""
    detail_share: float = 0.0
    """Share of the rays of a batch that are drawn where the photos have detail: edges and texture are seen more often than plain walls.
    0: all pixels alike, as always in panoramas and with fisheye_crop_radius."""

    def __post_init__(self) -> None:
        if not 0 < self.crop_fraction <= 1:
            raise InputError(f"pixel sampler: crop_fraction must be in (0, 1], got {self.crop_fraction}")
        if not 0 <= self.depth_share < 1:
            raise InputError(f"pixel sampler: depth_share must be in [0, 1), got {self.depth_share}")
        if not 0 <= self.detail_share <= 1:
            raise InputError(f"pixel sampler: detail_share must be in [0, 1], got {self.detail_share}")


class KeptPixels(NamedTuple):
    """The pixels that masks keep, image after image."""

    source: Any
    """The masks; as long as they are the same object, this need not be made again."""
    pixels: Int[Tensor, "n_kept"]
    """Of each, its place in its image, row after row (int32)."""
    starts: Int[Tensor, "n_images_and_1"]
    """Where each image's begin, and the total (int64)."""


def keep_pixels(masks: Shaped[Tensor, "n_images height width 1"] | Sequence[Shaped[Tensor, "_ _ 1"]]) -> KeptPixels:
    """Lists what masks keep.

    Raises:
        InputError: nothing is kept.
    """
    kept = [mask.flatten().nonzero().squeeze(-1).int() for mask in masks]
    counts = torch.tensor([0, *(len(pixels) for pixels in kept)], device=kept[0].device)
    if not counts.any():
        raise InputError("the masks of all images leave nothing: white is what is used")
    return KeptPixels(masks, torch.cat(kept), counts.cumsum(0))


class CentreCropPixelSampler(PixelSampler):
    """Samples from the centre while ``step < crop_steps``; where there are masks, from all that they keep."""

    config: CentreCropPixelSamplerConfig
    step: int | None = None
    """The training step, kept by the data manager; None (evaluation): no crop."""
    kept: KeptPixels | None = None
    """Of the masks that were last sampled from."""
    _listed: tuple[dict[str, Any], dict[str, list[Any]]] | None = None
    """The last batch's tensors, and each as a list of its images'."""
    pixel_areas: Float[Tensor, "n_dataset"] | None = None
    """Of each image of the dataset, how often its pixels are drawn beside those of others; None: all alike."""
    known_depths: SparseDepths | None = None
    """The pixels that ``depth_share`` draws from."""
    draws_depths: bool = True
    """Whether it does so now; set by the model."""

    def sample(self, image_batch: dict[str, Any]) -> dict[str, Any]:
        """Pixels of a batch of images; in training the first ones are of ``known_depths``, and ``depths`` (n_pixels,) has the distances of
        what is seen there, 0 elsewhere."""
        batch = super().sample(image_batch)
        if self.known_depths is None or self.step is None or not self.draws_depths:
            return batch
        return _with_depths(batch, image_batch, self.known_depths, self.config.depth_share)

    def sample_method(
        self,
        batch_size: int,
        num_images: int,
        image_height: int,
        image_width: int,
        mask: Tensor | None = None,
        device: torch.device | str = "cpu",
    ) -> Int[Tensor, "batch_size 3"]:
        """(image, row, column) of ``batch_size`` pixels; of those that a mask (n, h, w, 1) keeps all are equally likely."""
        if mask is not None and not self.config.ignore_mask:
            image, pixel = self._sample_kept(batch_size, mask, weights=None)
            return torch.stack([image, pixel // image_width, pixel % image_width], dim=-1)
        share = self._share()
        sizes = (num_images, image_height * share, image_width * share)
        corners = (0.0, image_height * (1 - share) / 2, image_width * (1 - share) / 2)
        random = torch.rand((batch_size, 3), device=device).unbind(-1)
        return torch.stack([(corner + u * size).long() for corner, u, size in zip(corners, random, sizes)], dim=-1)

    def collate_image_dataset_batch(
        self, batch: dict[str, Any], num_rays_per_batch: int, keep_full_image: bool = False
    ) -> dict[str, Any]:
        """Random pixels of a batch of images of one size.

        Args:
            batch: ``image`` (n, h, w, channels) and ``image_idx`` (n,); whatever else there is, nerfstudio collates.
            num_rays_per_batch: number of pixels.
            keep_full_image: give the images too.

        Returns:
            ``image`` (n_pixels, channels) and ``indices`` (n_pixels, 3): image_idx, row, column, on the images' device.
        """
        images = batch["image"]
        is_plain = batch.keys() <= {"image", "image_idx"} and not keep_full_image
        if self.pixel_areas is not None or (self._detail_share() and not is_plain):
            return self.collate_image_dataset_batch_list(self._as_lists(batch), num_rays_per_batch, keep_full_image)
        if not is_plain or self._is_nerfstudios:
            return super().collate_image_dataset_batch(batch, num_rays_per_batch, keep_full_image)
        n_images, height, width, n_channels = images.shape
        share = self._detail_share()
        n_drawn = num_rays_per_batch * (CANDIDATES if share else 1)
        image, row, column = self.sample_method(n_drawn, n_images, height, width, device=images.device).unbind(-1)
        flat = images.view(-1, n_channels)
        if share:
            rows, columns = around(row, column, height, width)
            detail = local_detail(flat[(image[:, None] * height + rows) * width + columns])
            chosen = choose_detailed(detail, num_rays_per_batch, share)
            image, row, column = image[chosen], row[chosen], column[chosen]
        colors = flat.index_select(0, (image * height + row) * width + column)
        image_idx = batch["image_idx"].to(images.device).index_select(0, image)
        return {"image": colors, "indices": torch.stack([image_idx, row, column], dim=-1)}

    def collate_image_dataset_batch_list(
        self, batch: dict[str, Any], num_rays_per_batch: int, keep_full_image: bool = False
    ) -> dict[str, Any]:
        """Random pixels of images of several sizes, each pixel of all images (that its mask keeps) as likely as its image's
        ``pixel_areas``, or equally.

        Args:
            batch: ``image``, a list of (h, w, channels), and other lists of the same kind (``mask``); ``image_idx`` (n,).
            num_rays_per_batch: number of pixels.
            keep_full_image: give the images too.

        Returns:
            As for images of one size; the pixels are in the order of the images.
        """
        images = batch["image"]
        device = images[0].device
        share = self._detail_share()
        image, pixel = self._sample_list(batch, num_rays_per_batch * (CANDIDATES if share else 1))
        if share:
            chosen = choose_detailed(_detail_of_list(images, image, pixel), num_rays_per_batch, share)
            image, pixel = image[chosen], pixel[chosen]
        counts = torch.bincount(image, minlength=len(images)).tolist()
        lists = {key: values for key, values in batch.items() if isinstance(values, list)}
        widths = torch.tensor([picture.shape[1] for picture in images], device=device)[image]
        collated: dict[str, Any] = {
            key: torch.cat(
                [v.reshape(-1, v.shape[-1])[p.to(v.device)] for v, p in zip(values, pixel.split(counts)) if len(p)]
            )
            for key, values in lists.items()
        }
        image_idx = torch.as_tensor(batch["image_idx"]).to(device)[image]
        collated["indices"] = torch.stack([image_idx, pixel // widths, pixel % widths], dim=-1)
        if keep_full_image:
            collated["full_image"] = images
        return collated

    def _as_lists(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch of images of one size as one of several sizes; the same lists as long as the tensors are the same."""
        if self._listed is None or any(batch[key] is not tensor for key, tensor in self._listed[0].items()):
            tensors = {key: values for key, values in batch.items() if key != "image_idx"}
            self._listed = (tensors, {key: list(values) for key, values in tensors.items()})
        return batch | self._listed[1]

    def _share(self) -> float:
        """Of the images' sides, what is sampled from in this step."""
        crops = self.step is not None and self.step < self.config.crop_steps
        return self.config.crop_fraction if crops else 1.0

    @property
    def _is_nerfstudios(self) -> bool:
        """Whether nerfstudio has its own way of drawing from such photos: panoramas, and circles of fisheyes."""
        return self.config.is_equirectangular or self.config.fisheye_crop_radius is not None

    def _detail_share(self) -> float:
        """Of the batch's pixels, what goes by detail: in training only."""
        return 0.0 if self.step is None or self._is_nerfstudios else self.config.detail_share

    def _sample_kept(
        self, count: int, masks: Any, weights: Float[Tensor, "n_images"] | None
    ) -> tuple[Int[Tensor, "count"], Int[Tensor, "count"]]:
        """Image, and place in it, of pixels that the masks keep, with replacement: few of them are enough for any batch."""
        if self.kept is None or self.kept.source is not masks:
            self.kept = keep_pixels(masks)
        image, place = draw_pixels(self.kept.starts, count, weights)
        return image, self.kept.pixels[place].long()

    def _sample_list(self, batch: dict[str, Any], count: int) -> tuple[Int[Tensor, "count"], Int[Tensor, "count"]]:
        """Image, ascending, and place in it, of pixels of images of several sizes."""
        images = batch["image"]
        device = images[0].device
        weights = None
        if self.pixel_areas is not None:
            weights = self.pixel_areas[torch.as_tensor(batch["image_idx"]).to(self.pixel_areas.device)]
        if "mask" in batch and not self.config.ignore_mask:
            image, pixel = self._sample_kept(count, batch["mask"], weights)
            order = image.argsort(stable=True)
            return image[order].to(device), pixel[order].to(device)
        sizes = torch.tensor([picture.shape[:2] for picture in images], device=device)
        starts = torch.nn.functional.pad(sizes.prod(dim=1).cumsum(0), (1, 0))
        image = draw_pixels(starts, count, weights)[0].sort().values
        size, share = sizes[image], self._share()
        row, column = (size * ((1 - share) / 2 + share * torch.rand(count, 2, device=device))).long().unbind(-1)
        return image, row * size[:, 1] + column


def _detail_of_list(images: Sequence[Tensor], image: Int[Tensor, "n"], pixel: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    """The detail around pixels of images of several sizes, which are in the order of the images."""
    details = []
    for picture, place in zip(images, pixel.split(torch.bincount(image, minlength=len(images)).tolist())):
        height, width, n_channels = picture.shape
        rows, columns = around(place // width, place % width, height, width)
        details.append(local_detail(picture.reshape(-1, n_channels)[rows * width + columns]))
    return torch.cat(details)


def _with_depths(
    batch: dict[str, Any], image_batch: dict[str, Any], known: SparseDepths, share: float
) -> dict[str, Any]:
    """A batch whose first pixels are others: random ones with a depth, of the images that are in memory."""
    images, indices = image_batch["image"], batch["indices"]
    image_idx = torch.as_tensor(image_batch["image_idx"]).cpu()
    places = torch.full((int(max(image_idx.max(), known.pixels[:, 0].max())) + 1,), -1)
    places[image_idx] = torch.arange(len(image_idx))
    there = (places[known.pixels[:, 0]] >= 0).nonzero()[:, 0]
    count = int(share * len(indices)) if len(there) else 0
    drawn = there[torch.randint(max(len(there), 1), (count,))]
    pixels, depths = known.pixels[drawn], batch["image"].new_zeros(len(indices), dtype=torch.float32)
    depths[:count] = known.depths[drawn].to(depths)
    image, row, column = places[pixels[:, 0]], pixels[:, 1], pixels[:, 2]
    if isinstance(images, Tensor):
        colors = images[image.to(images.device), row.to(images.device), column.to(images.device)]
    else:
        colors = [images[i][r, c] for i, r, c in zip(image.tolist(), row.tolist(), column.tolist())]
        colors = torch.stack(colors) if colors else batch["image"][:0]
    return batch | {
        "image": torch.cat([colors.to(batch["image"]), batch["image"][count:]]),
        "indices": torch.cat([pixels.to(indices), indices[count:]]),
        "depths": depths,
    }


def draw_pixels(
    starts: Int[Tensor, "n_images_and_1"], count: int, weights: Float[Tensor, "n_images"] | None = None
) -> tuple[Int[Tensor, "count"], Int[Tensor, "count"]]:
    """Random pixels of images that lie one after another, with replacement.

    Args:
        starts: where each image's pixels begin, and the total.
        count: how many.
        weights: how likely a pixel of each image is, beside those of others; None: all alike.

    Returns:
        image: of each pixel.
        place: among the pixels of all images.
    """
    device = starts.device
    if weights is None:
        place = torch.randint(int(starts[-1]), (count,), device=device)
        return torch.searchsorted(starts, place, right=True) - 1, place
    counts = starts.diff()
    image = (counts * weights.to(device, torch.float64)).multinomial(count, replacement=True)
    return image, starts[image] + (torch.rand(count, dtype=torch.float64, device=device) * counts[image]).long()
