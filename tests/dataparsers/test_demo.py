import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from nerfstudio.configs.dataparser_configs import all_dataparsers
from nerfstudio.data.datasets.base_dataset import InputDataset
from PIL import Image

from nerf_plugins.dataparsers import demo, llff, neus
from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.errors import InputError
from nerf_plugins.scenes import Camera, demo_scene, moving_scene, render

SMALL = {"resolution": 16, "num_train": 6, "num_val": 2, "num_test": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A place where the small demo has been rendered."""
    place = tmp_path_factory.mktemp("demo")
    config(place).setup().get_dataparser_outputs("train")
    return place


def config(place: Path, **options) -> DemoDataParserConfig:
    return DemoDataParserConfig(data=place, **{**SMALL, **options})


def rendered(place: Path) -> Path:
    return config(place).setup().folder


@pytest.mark.parametrize(("split", "count"), [("train", 6), ("val", 2), ("test", 3)])
def test_outputs_of_each_split(folder, split, count):
    outputs = config(folder).setup().get_dataparser_outputs(split)
    assert len(outputs.image_filenames) == count
    assert all(path.is_file() for path in outputs.image_filenames)
    assert outputs.cameras.camera_to_worlds.shape == (count, 3, 4)
    assert outputs.cameras.width.unique().item() == outputs.cameras.height.unique().item() == 16
    assert outputs.scene_box.aabb.tolist() == [[-1.0] * 3, [1.0] * 3]
    assert outputs.dataparser_scale == 1.0


def test_scene_is_in_the_box(folder):
    box = config(folder).setup().get_dataparser_outputs("train").scene_box.aabb.numpy()
    assert (demo_scene().bounds[0] > box[0]).all()
    assert (demo_scene().bounds[1] < box[1]).all()


def test_pictures_are_those_of_the_cameras(folder):
    """Each file is the scene seen by its camera's pose and intrinsics, to half a step of 8 bits."""
    outputs = config(folder).setup().get_dataparser_outputs("test")
    for path, camera in zip(outputs.image_filenames, outputs.cameras, strict=True):
        pose = camera.camera_to_worlds.double().numpy()
        expected = render(demo_scene(), Camera.centred(pose, camera.fx.item(), 16, 16), demo.SUPERSAMPLE)
        with Image.open(path) as image:
            assert image.mode == "RGBA"
            difference = np.abs(np.asarray(image) / 255.0 - expected)
        assert np.median(difference) <= 0.5 / 255.0 + 1e-6
        assert difference.mean() < 2e-3  # poses are single precision here: a ray at an edge may fall to the other side


def test_cameras_look_at_the_scene(folder):
    for split in demo.SPLITS:
        poses = config(folder).setup().get_dataparser_outputs(split).cameras.camera_to_worlds
        to_scene = torch.tensor(demo.TARGET) - poses[:, :, 3]
        torch.testing.assert_close(to_scene.norm(dim=1), torch.full((len(poses),), demo.RADIUS))
        torch.testing.assert_close(-poses[:, :, 2], to_scene / demo.RADIUS)
        assert (poses[:, 2, 1] > 0.0).all()  # up is up
        distance = poses[:, :, 3].norm(dim=1)
        assert ((distance > 2.0 + 1.2) & (distance < 6.0 - 1.2)).all()


def test_held_out_views_are_new_and_in_gaps():
    cameras = demo.split_cameras(DemoDataParserConfig())
    back = {k: v[:, :3, 2] for k, v in cameras.items()}
    assert {k: len(v) for k, v in back.items()} == {"train": 100, "val": 5, "test": 10}

    def nearest(a, b):
        cosine = a @ b.T
        return np.degrees(np.arccos(np.where(cosine > 1.0 - 1e-12, -1.0, cosine).max(axis=1)))

    spacing = nearest(back["train"], back["train"])
    held_out = np.concatenate([back["val"], back["test"]])
    assert (nearest(held_out, back["train"]) > 0.4 * spacing.mean()).all()
    assert (nearest(held_out, back["train"]) < spacing.mean()).all()
    assert nearest(back["val"], back["test"]).min() > 5.0


def test_training_views_do_not_depend_on_the_others():
    a, b = (demo.split_cameras(DemoDataParserConfig(num_test=n))["train"] for n in (1, 30))
    np.testing.assert_array_equal(a, b)


def test_alpha_color_is_blenders(folder):
    white, none = (config(folder, alpha_color=c).setup().get_dataparser_outputs("val") for c in ("white", None))
    assert white.alpha_color is not None
    assert white.alpha_color.tolist() == [1.0, 1.0, 1.0]
    assert none.alpha_color is None
    blended, kept = InputDataset(white).get_image_float32(0), InputDataset(none).get_image_float32(0)
    assert blended.shape == (16, 16, 3)
    assert kept.shape == (16, 16, 4)
    assert blended[0, 0].tolist() == [1.0, 1.0, 1.0]
    assert kept[0, 0].tolist() == [0.0, 0.0, 0.0, 0.0]


def test_the_cache_is_used_again(folder, monkeypatch):
    monkeypatch.setattr(demo, "render_dataset", lambda *_: pytest.fail("rendered again"))
    config(folder).setup().get_dataparser_outputs("train")
    config(folder, alpha_color="black").setup().get_dataparser_outputs("test")


def test_other_options_have_another_folder():
    names = {rendered(Path("x")).name}
    for option, value in (("resolution", 32), ("num_train", 7), ("num_val", 3), ("num_test", 4)):
        names.add(config(Path("x"), **{option: value}).setup().folder.name)
    assert len(names) == 5


def test_a_damaged_picture_is_rendered_again(folder):
    path = rendered(folder) / "train" / "r_0.png"
    good = path.read_bytes()
    path.write_bytes(good[:-20])
    config(folder).setup().get_dataparser_outputs("train")
    assert path.read_bytes() == good


def test_ctrl_c_leaves_nothing(tmp_path, monkeypatch):
    calls = []

    def interrupted(path, scene, pose, resolution):
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        time.sleep(0.02)
        path.write_bytes(b"")

    with monkeypatch.context() as patch:
        patch.setattr(demo, "_render_one", interrupted)
        with pytest.raises(KeyboardInterrupt):
            config(tmp_path / "here", num_train=60).setup().get_dataparser_outputs("train")
    assert len(calls) < 30  # the others were not begun
    assert list((tmp_path / "here").iterdir()) == []
    assert len(config(tmp_path / "here").setup().get_dataparser_outputs("train").image_filenames) == 6


def test_files_have_blenders_format(folder):
    meta = json.loads((rendered(folder) / "transforms_val.json").read_text())
    assert meta["camera_angle_x"] == pytest.approx(0.6911112)
    assert [frame["file_path"] for frame in meta["frames"]] == ["./val/r_0", "./val/r_1"]
    assert np.shape(meta["frames"][0]["transform_matrix"]) == (4, 4)


def test_pictures_belong_to_the_version():
    """If this fails the pictures or cameras have changed: count `demo.VERSION` up, and put the new means here."""
    poses = demo.split_cameras(DemoDataParserConfig(**SMALL))["train"]
    cameras = [Camera.centred(pose, 34.0, 24, 24) for pose in poses[[0, 3]]]
    means = [render(demo_scene(), camera, 2).mean(axis=(0, 1)) for camera in cameras]
    assert demo.VERSION == 1
    np.testing.assert_allclose(means, PINNED, atol=2e-3)


PINNED = [[0.2107, 0.1855, 0.1662, 0.2986], [0.2441, 0.2226, 0.1938, 0.3685]]


def test_default_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert DemoDataParserConfig().data == Path("/somewhere/nerf-plugins/demo")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/user")
    assert DemoDataParserConfig().data == Path("/home/user/.cache/nerf-plugins/demo")
    assert str(DemoDataParserConfig(data=Path("~/pictures")).setup().folder).startswith("/home/user/pictures/")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0}, "resolution 0"),
        ({"resolution": 100_000}, "resolution 100000"),
        ({"num_train": 0}, "num_train 0"),
        ({"num_val": -1}, "num_val -1"),
        ({"num_test": 0}, "num_test 0"),
        ({"alpha_color": "octarine"}, "alpha_color 'octarine'.*white"),
    ],
)
def test_options_that_cannot_be(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        config(tmp_path, **options).setup()


def test_an_unknown_split(tmp_path):
    with pytest.raises(InputError, match=r"split 'all'.*train, val, test"):
        config(tmp_path).setup().get_dataparser_outputs("all")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file: cannot keep the demo's pictures there \(.+\); give another"):
        config(tmp_path / "file").setup().get_dataparser_outputs("train")


@pytest.mark.parametrize("module", [demo, llff, neus])
def test_no_data_manager_is_imported(module):
    """nerfstudio imports these files while it imports its own data managers; tests/test_rooms.py has the rest."""
    names = [line.split()[1] for line in Path(module.__file__).read_text().splitlines() if line.startswith("from ")]
    assert not [name for name in names if name.startswith(("nerfstudio.data.datamanagers", "nerfstudio.engine"))]


@pytest.mark.parametrize(("name", "module"), [("demo-data", demo), ("llff-data", llff), ("neus-data", neus)])
def test_nerfstudio_finds_it(name, module):
    assert type(all_dataparsers[name]) is type(module.specification.config)


def test_another_scene_has_its_own_pictures(tmp_path: Path):
    configs = [
        DemoDataParserConfig(data=tmp_path, resolution=16, num_train=2, scene=scene) for scene in ("demo", "torus")
    ]
    images = [np.asarray(Image.open(c.setup().get_dataparser_outputs("train").image_filenames[0])) for c in configs]
    assert (images[0] != images[1]).any()
    hit = images[1][..., 3] > 0
    assert not hit[0].any()
    assert hit.any()


def test_the_moving_scene_is_seen_at_each_pictures_time(tmp_path):
    parser = config(tmp_path, scene="moving").setup()
    assert parser.includes_time
    assert not config(tmp_path).setup().includes_time
    outputs = parser.get_dataparser_outputs("train")
    assert sorted(outputs.cameras.times.reshape(-1).tolist()) == pytest.approx([k / 5 for k in range(6)])
    for path, camera, when in zip(outputs.image_filenames, outputs.cameras, outputs.cameras.times.reshape(-1).tolist()):
        pose = camera.camera_to_worlds.double().numpy()
        expected = render(moving_scene(when), Camera.centred(pose, camera.fx.item(), 16, 16), demo.SUPERSAMPLE)
        with Image.open(path) as image:
            assert np.abs(np.asarray(image) / 255.0 - expected).mean() < 4e-3
    val, test = (parser.get_dataparser_outputs(split).cameras.times for split in ("val", "test"))
    assert not set(val.reshape(-1).tolist()) & set(outputs.cameras.times.reshape(-1).tolist())
    assert len(test) == 3
