"""The multiscale copy of a dataset, its cameras and what its pixels count."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.dataparsers.multiscale import MultiscaleDataParserConfig

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_multiscale.py"


def write_blender(folder: Path, side: int = 16) -> None:
    """Two photos in each split; the first has a pixel of each corner in a colour of its own, half of them transparent."""
    for split in ("train", "val", "test"):
        frames = []
        for k in range(2):
            pixels = np.zeros((side, side, 4), dtype=np.uint8)
            pixels[::2, ::2] = (200, 100, 0, 255)
            pixels[1::2, 1::2] = (0, 100, 200, 255)
            path = folder / split / f"r_{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            pose = np.eye(4)
            pose[2, 3] = 4.0 + k
            frames.append({"file_path": f"./{split}/r_{k}", "transform_matrix": pose.tolist()})
        meta = {"camera_angle_x": 0.6, "frames": frames}
        (folder / f"transforms_{split}.json").write_text(json.dumps(meta), encoding="utf-8")


def make_copy(data: Path, output: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), "--data", str(data), "--output", str(output), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def multiscale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("multiscale")
    write_blender(folder / "one")
    result = make_copy(folder / "one", folder / "all", "--levels", "3")
    assert result.returncode == 0, result.stderr
    return folder / "all"


def test_a_pixel_is_the_mean_of_those_that_it_covers(multiscale: Path):
    half = np.asarray(Image.open(multiscale / "train" / "r_0_2.png"))
    assert half.shape == (8, 8, 4)
    # Two of four are opaque; of the colour, only theirs counts.
    assert np.abs(half.astype(int) - [100, 100, 100, 128]).max() <= 1
    assert Image.open(multiscale / "train" / "r_1_4.png").size == (4, 4)


def test_cameras_have_the_sizes_of_their_photos_and_one_angle(multiscale: Path):
    outputs = MultiscaleDataParserConfig(data=multiscale).setup().get_dataparser_outputs("val")
    cameras = outputs.cameras
    assert cameras.width.flatten().tolist() == [16, 8, 4] * 2
    torch.testing.assert_close(cameras.fx, 0.5 * cameras.width / np.tan(0.3), rtol=1e-5, atol=0.0)
    torch.testing.assert_close(cameras.cy * 2, cameras.height.float())
    areas = [float(cameras.generate_rays(k, torch.tensor([h / 2, h / 2])).pixel_area) for k, h in ((0, 16), (1, 8))]
    assert areas[1] / areas[0] == pytest.approx(4.0, rel=0.02)


def test_pixels_are_drawn_as_often_as_the_area_that_they_see_is_large(multiscale: Path):
    config = NerfDataManagerConfig(
        dataparser=MultiscaleDataParserConfig(data=multiscale), train_num_rays_per_batch=3000, pixel_weights="area"
    )
    manager = config.setup(device="cpu", test_mode="val", world_size=1, local_rank=0)
    ray_bundle, batch = manager.next_train(1000)
    widths = manager.train_dataset.cameras.width[batch["indices"][:, 0], 0]
    # A third for each size; its standard deviation is 26. Even pixels would be 2286, 571 and 143.
    assert [int((widths == size).sum()) for size in (16, 8, 4)] == pytest.approx([1000] * 3, abs=130)
    for axis in (1, 2):
        assert [int(batch["indices"][widths == size, axis].max()) for size in (16, 8, 4)] == [15, 7, 3]
    image, row, column = batch["indices"].unbind(-1)
    one = 1234
    assert torch.equal(batch["image"][one], manager.train_dataset[int(image[one])]["image"][row[one], column[one]])
    torch.testing.assert_close(ray_bundle.pixel_area[:, 0] * widths**2, 0.35 * torch.ones(3000), rtol=0.2, atol=0.0)


@pytest.mark.parametrize(
    ("options", "said"), [(["--levels", "6"], "cannot be halved 5 times"), (["--levels", "0"], "--levels 0")]
)
def test_what_is_wrong_is_one_line(tmp_path: Path, options: list[str], said: str):
    write_blender(tmp_path / "one")
    result = make_copy(tmp_path / "one", tmp_path / "all", *options)
    assert result.returncode == 1
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
