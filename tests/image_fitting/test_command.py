"""`nerf-plugins fit-image`: pictures in, files out, one line for what is wrong."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from nerf_plugins import cli
from nerf_plugins.errors import InputError
from nerf_plugins.image_fitting import command
from nerf_plugins.image_fitting.command import fit_image
from nerf_plugins.image_fitting.options import FitImageOptions
from nerf_plugins.image_fitting.pictures import demo_picture, read_picture


def test_transparent_pixels_are_white_and_half_transparent_ones_blended(tmp_path):
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]], np.uint8)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "x.png")
    expected = torch.tensor([[[1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [127 / 255] * 3]])
    torch.testing.assert_close(read_picture(tmp_path / "x.png", 64), expected)


def test_sixteen_bits_are_not_clipped(tmp_path):
    Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)).save(tmp_path / "x.png")
    assert read_picture(tmp_path / "x.png", 64)[0, :, 1].tolist() == pytest.approx([0.0, 0.5, 1.0], abs=0.01)


def test_a_picture_is_turned_as_its_tag_says_and_shrunk(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.new("RGB", (40, 20), "blue").save(tmp_path / "x.jpg", exif=exif)
    assert read_picture(tmp_path / "x.jpg", 64).shape == (40, 20, 3)
    assert read_picture(tmp_path / "x.jpg", 10).shape == (10, 5, 3)


def test_the_demos_picture_has_the_scene_over_white():
    picture = demo_picture(24)
    assert picture.shape == (24, 24, 3)
    assert (picture[0, 0] == 1.0).all()
    assert 0.2 < float((picture.amin(-1) < 0.99).float().mean()) < 0.8


@pytest.mark.parametrize("field", ["mlp", "hash"])
def test_the_files(tmp_path, capsys, field):
    Image.fromarray((demo_picture(24)[:, :16] * 255).byte().numpy()).save(tmp_path / "x.png")
    folder = tmp_path / "new" / "folder"
    args = ["fit-image", "--image", tmp_path / "x.png", "--output-dir", folder, "--field", field]
    with pytest.raises(SystemExit) as stopped:
        cli.main([*map(str, args), "--steps", "12", "--pictures", "4", "--device", "cpu"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed) == sorted(str(path) for path in folder.iterdir())
    with (folder / "pictures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [0, 1, 3, 12]
    assert float(rows[-1]["psnr"]) > float(rows[0]["psnr"])
    truth = np.asarray(Image.open(folder / "truth.png"), np.float64)
    for row in rows:  # the pictures are those that the figures are of
        picture = np.asarray(Image.open(folder / row["file"]), np.float64)
        assert picture.shape == (24, 16, 3)
        assert float(row["psnr"]) == pytest.approx(-10 * np.log10(((picture - truth) ** 2).mean() / 255**2), abs=0.1)
    with (folder / "losses.csv").open() as file:
        losses = list(csv.DictReader(file))
    assert [int(row["step"]) for row in losses] == list(range(1, 13))
    assert float(losses[-1]["loss"]) < float(losses[0]["loss"])
    assert Image.open(folder / "over_time.gif").n_frames == 4
    assert Image.open(folder / "curve.png").width > 100
    assert torch.load(folder / "field.pt")


def test_without_a_picture_it_learns_the_demo_scene(tmp_path):
    fit_image(FitImageOptions(output_dir=tmp_path, steps=1, max_side=16, pictures=2))  # an empty folder is fine
    truth = np.asarray(Image.open(tmp_path / "truth.png"))
    np.testing.assert_array_equal(truth, (demo_picture(16) * 255).round().byte().numpy())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--image", "{tmp}/missing.png"], "missing.png: there is no such file"),
        (["--image", "{tmp}"], "there is no such file"),
        (["--image", "{tmp}/text.png"], "text.png cannot be read (cannot identify"),
        (["--image", "{tmp}/cut.png"], "cut.png cannot be read"),
        (["--steps", "0"], "--steps 0: give 1 or more"),
        (["--pixels-per-step", "-4"], "--pixels-per-step -4: give 1 or more"),
        (["--pictures", "1"], "--pictures 1: give 2 or more"),
        (["--mlp.frequencies", "99"], "mlp.frequencies 99"),
        (["--field", "hash", "--hash.levels", "0"], "n_levels must be in"),
        (["--output-dir", "{tmp}"], "is already there, and nothing is overwritten"),
        (["--output-dir", "{tmp}/text.png"], "is already there, and nothing is overwritten"),
        (["--output-dir", "{tmp}/text.png/below"], "cannot be made"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, capsys, args, message):
    (tmp_path / "text.png").write_text("no picture")
    demo = Image.fromarray((demo_picture(64) * 255).byte().numpy())
    demo.save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:1500])
    before = sorted(tmp_path.rglob("*"))
    args = [arg.format(tmp=tmp_path) for arg in args]
    folder = [] if "--output-dir" in args else ["--output-dir", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stopped:
        cli.main(["fit-image", *args, *folder])
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("writes", "left"), [(False, []), (True, ["new", "new/folder", "new/folder/truth.png"])])
def test_an_interrupt_leaves_no_empty_folder(tmp_path, monkeypatch, capsys, writes, left):
    def interrupt(*_args):
        if writes:
            (tmp_path / "new" / "folder" / "truth.png").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "write_results", interrupt)
    args = ["--output-dir", str(tmp_path / "new" / "folder"), "--steps", "1", "--max-side", "16"]
    with pytest.raises(SystemExit) as stopped:
        cli.main(["fit-image", *args])
    assert stopped.value.code == 130
    assert capsys.readouterr().err.splitlines()[-1] == "stopped"
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == left


def test_an_interrupt_keeps_a_folder_that_was_there(tmp_path, monkeypatch):
    def interrupt(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "write_results", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit_image(FitImageOptions(output_dir=tmp_path, steps=1, max_side=16, pictures=2))
    assert tmp_path.is_dir()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none(tmp_path):
    with pytest.raises(InputError, match="--device cuda"):
        fit_image(FitImageOptions(output_dir=tmp_path / "out", device="cuda"))
    assert not (tmp_path / "out").exists()
