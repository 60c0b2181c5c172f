"""Pixels whose depth is known: read from a dataset of process-data, and drawn in training."""

import json

import numpy as np
import pytest
import torch
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig

from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.data.pixel_sampler import CentreCropPixelSampler, CentreCropPixelSamplerConfig
from nerf_plugins.data.sparse_depths import SparseDepths, read_sparse_depths
from nerf_plugins.data.subset import SubsetConfig
from nerf_plugins.errors import InputError
from tests.captures.reconstructions import made
from tests.captures.test_writing import NAMES, write_dataset

RECONSTRUCTION = made(dict.fromkeys(NAMES, 100))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder, RECONSTRUCTION)
    return folder


def read(folder, **options):
    config = NerfstudioDataParserConfig(data=folder, **options)
    outputs = config.setup().get_dataparser_outputs("train")
    return read_sparse_depths(config, outputs, outputs.cameras), outputs


@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize("center_method", ["poses", "focus"])
def test_each_view_of_a_point_is_a_pixel_with_its_distance(dataset, factor: int, center_method: str):
    known, outputs = read(dataset, downscale_factor=factor, center_method=center_method, train_split_fraction=1.0)
    views, points = RECONSTRUCTION.views, RECONSTRUCTION.points[:, :3]
    assert len(known.depths) == len(views)
    centres = RECONSTRUCTION.poses[views[:, 0].astype(int), :, 3]
    distances = np.linalg.norm(points[views[:, 1].astype(int)] - centres, axis=1)
    np.testing.assert_allclose(known.depths, outputs.dataparser_scale * distances, rtol=1e-4)
    assert outputs.dataparser_scale != 1.0
    expected = np.floor(views[:, [3, 2]] * [240 / factor, 320 / factor])
    np.testing.assert_array_equal(known.pixels, np.column_stack([views[:, 0], expected]))


def test_a_ray_through_the_pixel_passes_the_point(dataset):
    """To a pixel's width; nerfstudio's own rays, of distorted cameras."""
    known, outputs = read(dataset, train_split_fraction=1.0)
    coords = known.pixels[:, 1:] + 0.5
    rays = outputs.cameras.generate_rays(camera_indices=known.pixels[:, :1], coords=coords)
    found = (rays.origins + known.depths[:, None] * rays.directions) / outputs.dataparser_scale
    turn, shift = outputs.dataparser_transform.split([3, 1], dim=1)
    points = torch.tensor(RECONSTRUCTION.points[RECONSTRUCTION.views[:, 1].astype(int), :3]).float()
    apart = (found - (points @ turn.T + shift[:, 0])).norm(dim=-1) / (known.depths / outputs.dataparser_scale)
    assert apart.max() < 1.0 / 300.0


def test_what_only_held_out_photos_see_is_not_known(dataset):
    """Of the training photos two have to see a point."""
    known, outputs = read(dataset, train_split_fraction=0.2)
    assert len(outputs.image_filenames) == 2
    numbers = [NAMES.index(path.name) for path in outputs.image_filenames]
    views = RECONSTRUCTION.views[np.isin(RECONSTRUCTION.views[:, 0], numbers)]
    counts = np.bincount(views[:, 1].astype(int))
    assert len(known.depths) == (counts[views[:, 1].astype(int)] >= 2).sum() > 0
    assert (counts == 1).any()


def rewritten(dataset, tmp_path, **values):
    """The file alone, elsewhere, with other values."""
    meta = json.loads((dataset / "transforms.json").read_text())
    for frame in meta["frames"]:
        frame["file_path"] = str(dataset / frame["file_path"])
    meta["ply_file_path"] = str(dataset / meta["ply_file_path"])
    meta = {key: value for key, value in (meta | values).items() if value is not None}
    (tmp_path / "transforms.json").write_text(json.dumps(meta))
    return tmp_path


@pytest.mark.parametrize("name", [None, "none.npz"])
def test_a_dataset_without_them_says_where_they_come_from(dataset, tmp_path, name: str | None):
    with pytest.raises(InputError, match=r"depth_share.*process-data makes them"):
        read(rewritten(dataset, tmp_path, sparse_views_path=name))


def test_a_broken_file_and_one_of_other_points_are_named(dataset, tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"PK no")
    with pytest.raises(InputError, match=r"broken\.npz: the views of the sparse points cannot be read"):
        read(rewritten(dataset, tmp_path, sparse_views_path="broken.npz"))
    with np.load(dataset / "sparse_views.npz") as file:
        values = dict(file) | {"points": file["points"] + 1}
    np.savez(tmp_path / "other.npz", **values)
    with pytest.raises(InputError, match=r"other\.npz: names point 50 of 50"):
        read(rewritten(dataset, tmp_path, sparse_views_path="other.npz"))
    np.savez(tmp_path / "none.npz", **(values | {"names": np.array([f"x{name}" for name in values["names"]])}))
    values["points"] -= 1
    np.savez(tmp_path / "none.npz", **(values | {"names": np.array([f"x{name}" for name in values["names"]])}))
    with pytest.raises(InputError, match=r"none\.npz: no point is seen by 2 of the 9 training photos"):
        read(rewritten(dataset, tmp_path, sparse_views_path="none.npz"))


# Drawing them.

KNOWN = SparseDepths(torch.tensor([[7, 1, 2], [3, 0, 4], [5, 2, 2]]), torch.tensor([1.5, 2.5, 3.5]))


def image_batch(as_list: bool):
    images = torch.rand(3, 4, 5, 3)
    return {"image": list(images) if as_list else images, "image_idx": torch.tensor([3, 7, 9])}


def sampler(share: float, step: int | None = 0):
    made = CentreCropPixelSampler(CentreCropPixelSamplerConfig(num_rays_per_batch=40, depth_share=share))
    made.step, made.known_depths = step, KNOWN
    return made


@pytest.mark.parametrize("as_list", [False, True])
def test_a_share_of_the_pixels_has_a_depth_and_the_colour_of_its_place(as_list: bool):
    batch = image_batch(as_list)
    pixels = sampler(0.25).sample(batch)
    assert (pixels["depths"] > 0).sum() == 10
    assert set(pixels["depths"][:10].tolist()) == {1.5, 2.5}  # the third one's image is not in memory
    places = {3: 0, 7: 1, 9: 2}
    assert pixels["indices"].shape == (40, 3)
    for color, (image, row, column) in zip(pixels["image"], pixels["indices"].tolist()):
        assert torch.equal(color, batch["image"][places[image]][row, column])
    of_known = {tuple(pixel): depth for pixel, depth in zip(KNOWN.pixels.tolist(), KNOWN.depths.tolist())}
    for pixel, depth in zip(pixels["indices"][:10].tolist(), pixels["depths"].tolist()):
        assert of_known[tuple(pixel)] == depth


def test_evaluation_draws_none():
    assert "depths" not in sampler(0.25, step=None).sample(image_batch(False))
    over = sampler(0.25)
    over.draws_depths = False
    assert "depths" not in over.sample(image_batch(False))


def test_a_share_is_one():
    with pytest.raises(InputError, match=r"depth_share must be in \[0, 1\), got 1\.5"):
        CentreCropPixelSamplerConfig(depth_share=1.5)


def test_a_batch_of_training_has_depths_only_if_wanted(dataset):
    def batch_of(share: float):
        config = NerfDataManagerConfig(
            data=dataset,
            dataparser=NerfstudioDataParserConfig(downscale_factor=4),
            pixel_sampler=CentreCropPixelSamplerConfig(depth_share=share),
            train_num_rays_per_batch=64,
            subset=SubsetConfig(n_images=4),
        )
        manager = config.setup(device="cpu", test_mode="val", world_size=1, local_rank=0)
        return manager.next_train(0)

    assert "depths" not in batch_of(0.0)[1]
    bundle, batch = batch_of(0.5)
    assert (batch["depths"] > 0).tolist() == [True] * 32 + [False] * 32
    assert len(bundle) == len(batch["image"]) == 64
    assert int(batch["indices"][:, 0].max()) <= 3
