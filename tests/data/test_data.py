from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nerfstudio.cameras.camera_paths import get_spiral_path
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.scene_box import SceneBox
from PIL import Image

from nerf_plugins.data import pixel_sampler
from nerf_plugins.data.checks import check_dataparser_outputs, check_poses, is_inside_box
from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.data.dataset import CheckedDataset
from nerf_plugins.data.pixel_sampler import CentreCropPixelSampler, CentreCropPixelSamplerConfig
from nerf_plugins.errors import InputError

BOX = SceneBox(aabb=torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))


def make_outputs(folder: Path, n: int = 2, z: float = 4.0, size: tuple[int, int] = (8, 6)) -> DataparserOutputs:
    names = []
    for i in range(n):
        names.append(folder / f"{i}.png")
        Image.fromarray(np.full((size[1], size[0], 4), 128, np.uint8)).save(names[-1])
    poses = torch.eye(4)[:3].repeat(n, 1, 1)
    poses[:, 2, 3] = z
    cameras = Cameras(poses, 10.0, 10.0, 4.0, 3.0, 8, 6, camera_type=CameraType.PERSPECTIVE)
    return DataparserOutputs(image_filenames=names, cameras=cameras, scene_box=BOX)


def test_sound_data_pass(tmp_path: Path):
    check_dataparser_outputs(make_outputs(tmp_path), "train")


def test_a_missing_image_is_named(tmp_path: Path):
    outputs = make_outputs(tmp_path)
    outputs.image_filenames[1].unlink()
    with pytest.raises(InputError, match=r"1\.png"):
        check_dataparser_outputs(outputs, "train")


def test_one_training_image_is_too_few_but_one_held_out_is_not(tmp_path: Path):
    outputs = make_outputs(tmp_path, n=1)
    check_dataparser_outputs(outputs, "val")
    with pytest.raises(InputError, match="only one training image"):
        check_dataparser_outputs(outputs, "train")


def test_no_images(tmp_path: Path):
    outputs = make_outputs(tmp_path)
    outputs.image_filenames.clear()
    with pytest.raises(InputError, match="no images in the val split"):
        check_dataparser_outputs(outputs, "val")


def test_cameras_that_look_away(tmp_path: Path):
    check_dataparser_outputs(make_outputs(tmp_path, z=4.0), "train")
    with pytest.raises(InputError, match="no training camera looks at the scene box"):
        check_dataparser_outputs(make_outputs(tmp_path, z=-4.0), "train")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p[1, 0, 3].fill_(float("nan")), "not finite"),
        (lambda p: p[1, :, :3].mul_(2.0), "not a rotation"),
        (lambda p: p[1, :, 0].neg_(), "not a rotation"),
    ],
    ids=["nan", "scaled", "mirrored"],
)
def test_bad_poses_are_named(spoil, message: str):
    poses = torch.eye(4)[:3].repeat(2, 1, 1)
    check_poses(poses, ["a", "b"])
    spoil(poses)
    with pytest.raises(InputError, match=f"pose of b.*{message}"):
        check_poses(poses, ["a", "b"])


def test_inside_box(tmp_path: Path):
    assert is_inside_box(make_outputs(tmp_path, z=0.5).cameras, BOX.aabb).all()
    assert not is_inside_box(make_outputs(tmp_path, z=4.0).cameras, BOX.aabb).any()


def test_a_broken_image_is_named(tmp_path: Path):
    outputs = make_outputs(tmp_path, size=(64, 64))
    data = outputs.image_filenames[0].read_bytes()
    outputs.image_filenames[0].write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"0\.png cannot be read"):
        CheckedDataset(outputs)[0]


def test_a_broken_mask_is_named(tmp_path: Path):
    outputs = make_outputs(tmp_path)
    masks = [tmp_path / "mask_0.png", tmp_path / "mask_1.png"]
    for name in masks:
        Image.fromarray(np.full((6, 8), 255, np.uint8)).save(name)
    dataset = CheckedDataset(replace(outputs, mask_filenames=masks))
    assert dataset[1]["mask"].all()
    masks[1].write_bytes(masks[1].read_bytes()[:50])
    with pytest.raises(InputError, match=r"mask .*mask_1\.png of 1\.png cannot be read"):
        dataset[1]


def test_an_image_of_another_size_is_named(tmp_path: Path):
    outputs = make_outputs(tmp_path, size=(9, 6))
    with pytest.raises(InputError, match=r"0\.png has 9x6 pixels, but its camera 8x6"):
        CheckedDataset(outputs)[0]


def make_pixel_sampler(step: int | None) -> CentreCropPixelSampler:
    config = CentreCropPixelSamplerConfig(num_rays_per_batch=4096, crop_steps=10, crop_fraction=0.5)
    sampler = CentreCropPixelSampler(config)
    sampler.step = step
    return sampler


def test_first_steps_sample_the_centre():
    pixels = make_pixel_sampler(9).sample_method(4096, 5, 40, 60)
    assert pixels[:, 0].unique().tolist() == [0, 1, 2, 3, 4]
    assert (pixels[:, 1].min(), pixels[:, 1].max()) == (10, 29)
    assert (pixels[:, 2].min(), pixels[:, 2].max()) == (15, 44)


@pytest.mark.parametrize("step", [10, None])
def test_later_and_in_evaluation_the_whole_image_is_sampled(step: int | None):
    pixels = make_pixel_sampler(step).sample_method(4096, 5, 40, 60)
    assert (pixels[:, 1].min(), pixels[:, 1].max()) == (0, 39)
    assert (pixels[:, 2].min(), pixels[:, 2].max()) == (0, 59)


def test_bad_crop_is_named():
    with pytest.raises(InputError, match="crop_fraction"):
        CentreCropPixelSamplerConfig(crop_fraction=0.0)


def test_a_mix_of_rgb_and_rgba_images_gets_alpha_everywhere(tmp_path: Path):
    outputs = make_outputs(tmp_path)
    Image.fromarray(np.full((6, 8, 3), 255, np.uint8)).save(outputs.image_filenames[1])
    dataset = CheckedDataset(outputs, keep_alpha=True)
    assert [dataset[i]["image"].shape[-1] for i in range(2)] == [4, 4]
    assert (dataset[1]["image"][..., 3] == 1).all()


def test_without_keep_alpha_images_are_blended_by_nerfstudio(tmp_path: Path):
    outputs = make_outputs(tmp_path)
    outputs.alpha_color = torch.ones(3)
    image = CheckedDataset(outputs)[0]["image"]
    assert image.shape[-1] == 3
    assert image[0, 0, 0].item() == pytest.approx(128 / 255 * 128 / 255 + 127 / 255)


def test_rgb_images_stay_rgb(tmp_path: Path):
    outputs = make_outputs(tmp_path)
    for name in outputs.image_filenames:
        Image.fromarray(np.full((6, 8, 3), 255, np.uint8)).save(name)
    assert CheckedDataset(outputs, keep_alpha=True)[0]["image"].shape[-1] == 3


def test_rendering_a_camera_path_needs_no_images(tmp_path: Path):
    outputs = make_outputs(tmp_path)
    outputs.image_filenames[1].unlink()
    check_dataparser_outputs(outputs, "train", opens_images=False)


def test_patches_are_refused():
    with pytest.raises(InputError, match="patch_size 8"):
        NerfDataManagerConfig(patch_size=8)


def test_cameras_are_in_single_precision(tmp_path: Path):
    """nerfstudio's Blender parser gives float64 intrinsics, with which its spiral cannot be made."""
    outputs = make_outputs(tmp_path)
    for name in ("fx", "fy", "cx", "cy"):
        setattr(outputs.cameras, name, getattr(outputs.cameras, name).double())
    cameras = CheckedDataset(outputs).cameras
    assert get_spiral_path(cameras[0:1], steps=3, radius=0.1).camera_to_worlds.shape == (3, 3, 4)


def masks_with(*pixels: tuple[int, int, int], shape=(3, 40, 60, 1)) -> torch.Tensor:
    masks = torch.zeros(shape, dtype=torch.bool)
    for pixel in pixels:
        masks[pixel] = True
    return masks


def test_a_mask_of_a_few_pixels_is_enough_for_any_batch():
    """Nearly all of 3 images is masked out; nerfstudio's own sampler stops here when it is asked for more pixels than there are."""
    kept = [(0, 3, 4), (2, 0, 59), (2, 39, 0)]
    sampler = make_pixel_sampler(0)
    for count in (3, 5000):
        pixels = sampler.sample_method(count, 3, 40, 60, mask=masks_with(*kept))
        assert pixels.shape == (count, 3)
        assert {tuple(p) for p in pixels.tolist()} <= set(kept)
    hits = (pixels == torch.tensor(kept[0])).all(dim=1).float().mean().item()
    assert hits == pytest.approx(1 / 3, abs=0.03)  # 4.5 deviations


def test_another_batchs_masks_are_seen():
    sampler = make_pixel_sampler(None)
    for pixel in [(0, 1, 1), (1, 2, 2)]:
        assert (sampler.sample_method(8, 3, 40, 60, mask=masks_with(pixel)) == torch.tensor(pixel)).all()


def test_masks_that_leave_nothing_at_all():
    with pytest.raises(InputError, match="leave nothing"):
        make_pixel_sampler(None).sample_method(8, 3, 40, 60, mask=masks_with())


def list_batch(with_masks: bool) -> dict:
    """Images of several sizes whose colour says which pixel it is: (image, row, column)."""
    images = []
    for k, (h, w) in enumerate([(10, 20), (40, 20), (3, 5)]):
        row, column = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        images.append(torch.stack([torch.full_like(row, k), row, column], dim=-1).float())
    batch = {"image": images, "image_idx": torch.tensor([7, 8, 9])}
    if with_masks:
        batch["mask"] = [(image[..., 2:] >= 4) & (image[..., :1] != 1) for image in images]
    return batch


@pytest.mark.parametrize(
    ("with_masks", "areas", "counts"),
    [
        (False, None, [200, 800, 15]),
        (True, None, [160, 0, 3]),
        (False, [4.0, 1.0, 8.0], [800, 800, 120]),
        (True, [1.0, 4.0, 20.0], [160, 0, 60]),
    ],
)
def test_images_of_several_sizes_are_sampled_by_their_pixels(
    with_masks: bool, areas: list[float] | None, counts: list[int]
):
    n = 9001  # odd, which nerfstudio's does not take
    sampler = make_pixel_sampler(None)
    if areas is not None:  # of the dataset's images, of which the batch has those from the seventh on
        sampler.pixel_areas = torch.tensor([9.0] * 7 + areas)
    found = sampler.collate_image_dataset_batch_list(list_batch(with_masks), n)
    colors, indices = found["image"].long(), found["indices"]
    assert torch.equal(indices - torch.tensor([7, 0, 0]), colors)
    shares = torch.bincount(colors[:, 0], minlength=3) / n
    torch.testing.assert_close(shares, torch.tensor(counts) / sum(counts), atol=0.025, rtol=0)
    if with_masks:
        assert found["mask"].shape == (n, 1)
        assert found["mask"].all()


def test_the_centre_of_images_of_several_sizes():
    found = make_pixel_sampler(0).collate_image_dataset_batch_list(list_batch(False), 5000)
    first = found["indices"][found["indices"][:, 0] == 7]
    assert (first[:, 1].min(), first[:, 1].max()) == (2, 7)  # 2.5 to 7.5
    assert (first[:, 2].min(), first[:, 2].max()) == (5, 14)


def test_images_of_one_size_are_sampled_as_often_as_their_pixels_are_large():
    sampler, images = make_pixel_sampler(None), torch.arange(3.0).view(3, 1, 1, 1).expand(3, 4, 6, 3).contiguous()
    sampler.pixel_areas = torch.tensor([1.0, 0.0, 3.0])
    found = sampler.collate_image_dataset_batch({"image": images, "image_idx": torch.arange(3)}, 4000)
    assert torch.equal(found["image"][:, 0].long(), found["indices"][:, 0])
    shares = torch.bincount(found["indices"][:, 0], minlength=3) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.25, 0.0, 0.75]), atol=0.03, rtol=0)
    assert (found["indices"][:, 1:].amax(0) == torch.tensor([3, 5])).all()


def test_masks_of_images_that_weigh_by_area_are_listed_once(monkeypatch: pytest.MonkeyPatch):
    """And anew for other images."""
    listed = []
    keep = pixel_sampler.keep_pixels
    monkeypatch.setattr(pixel_sampler, "keep_pixels", lambda masks: listed.append(masks) or keep(masks))
    sampler = make_pixel_sampler(None)
    sampler.pixel_areas = torch.tensor([1.0, 0.0, 3.0])
    images = torch.zeros(3, 40, 60, 3)
    for mask in (masks_with((0, 1, 1)), masks_with((2, 3, 3))):
        batch = {"image": images, "image_idx": torch.arange(3), "mask": mask}
        kept = mask.nonzero()[0, :3]
        for _ in range(3):
            assert (sampler.collate_image_dataset_batch(batch, 8)["indices"] == kept).all()
    assert len(listed) == 2
