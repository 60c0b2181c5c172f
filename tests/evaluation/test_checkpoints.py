"""What is evaluated of a checkpoint, with stand-ins."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from nerf_plugins.evaluation.checkpoints import evaluate_checkpoint, picture_folders, write_comparison
from nerf_plugins.runs.search import FoundRun


def test_runs_of_one_name_have_pictures_of_their_own():
    places = ["x/e/m/t", "y/e/m/t", "x/e/m/u"]
    runs = [FoundRun(Path(place) / "config.yml", None, (1,)) for place in places]
    assert picture_folders(runs) == ["e_m_t-1", "e_m_t-2", "e_m_u"]


def test_names_of_images_where_the_data_are_a_file(tmp_path: Path):
    data = tmp_path / "transforms.json"
    data.touch()
    camera = SimpleNamespace(height=2, width=2, rescale_output_resolution=lambda scale: None)
    manager = SimpleNamespace(
        config=SimpleNamespace(data=data, dataparser=SimpleNamespace(data=data)),
        train_dataset=[None],
        eval_dataset=SimpleNamespace(image_filenames=[tmp_path / "images/a.png"]),
        fixed_indices_eval_dataloader=[(camera, {"image_idx": 0})],
    )
    model = SimpleNamespace(
        get_outputs_for_camera=lambda camera: {},
        get_image_metrics_and_images=lambda outputs, batch: ({"psnr": 20.0}, {}),
    )
    pipeline = SimpleNamespace(datamanager=manager, model=model, train_seconds=1.0, eval=lambda: None)
    run: FoundRun = SimpleNamespace()  # type: ignore[assignment]
    assert list(evaluate_checkpoint(run, 1, pipeline, 0, tmp_path).images) == ["images/a.png"]


def test_a_comparison_has_the_error_where_it_is(tmp_path: Path):
    truth = torch.full((8, 8, 3), 0.5)
    render = truth.clone()
    render[:, 4:] += 0.5
    images = {"img": torch.cat([truth, render], dim=1), "depth": torch.zeros(8, 8, 3)}
    write_comparison(tmp_path / "x.png", {"normals": torch.ones(8, 8, 3)}, images)
    picture = np.asarray(Image.open(tmp_path / "x.png").convert("RGB")).astype(int)
    assert picture.shape[1] == 5 * 12 - 4
    assert picture[4, 2].tolist() == picture[4, 14].tolist() == [128, 128, 128]
    assert picture[4, 12 + 6].tolist() == [255, 255, 255]
    error = picture[:8, 24:32]
    assert error[4, 1].sum() < 10
    assert error[4, 6].sum() > 500  # the colour map's last
    assert (picture[:8, 48:56] == 255).all()
