"""docs/tutorial.md and the script behind it."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
SCRIPT = ROOT / "scripts" / "tutorial.py"
IMAGES = {"fit.png", "rays.png", "sampling.png", "compositing.png", "training.png", "grid.png"}


@pytest.fixture(scope="module")
def tutorial():
    spec = importlib.util.spec_from_file_location("tutorial_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_every_block_of_code_is_the_scripts():
    script = SCRIPT.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 8
    for block in blocks:
        assert block in script, block


def test_every_picture_is_shown():
    links = re.findall(r"\]\(([^)#]+)\)", TUTORIAL.read_text(encoding="utf-8"))
    assert {Path(link).name for link in links} >= IMAGES


def test_the_pictures_are_small():
    for name in IMAGES:
        assert (TUTORIAL.parent / "images" / "tutorial" / name).stat().st_size < 150_000, name


def test_all_lessons_make_their_pictures(tutorial, tmp_path):
    tutorial.main(tutorial.Options(tmp_path / "new", side=16, fit_steps=4, train_steps=70, n_views=3))
    assert {path.name for path in (tmp_path / "new").iterdir()} == IMAGES
    for name in IMAGES:
        image = Image.open(tmp_path / "new" / name).convert("RGB")
        assert len(image.getcolors(1 << 20)) > 10


def test_samples_lie_where_the_lesson_says(tutorial):
    torch.manual_seed(0)
    origins, directions = torch.tensor([[0.0, -2.0, -0.2]]), torch.tensor([[0.0, 1.0, 0.0]])
    coarse = tutorial.stratified(torch.tensor([1.0]), torch.tensor([3.0]), 16)
    edges = torch.linspace(1.0, 3.0, 17)
    torch.testing.assert_close(coarse.t_ends[:-1], coarse.t_starts[1:])
    assert ((coarse.t_starts - edges[:-1]).abs() <= 0.5 * 2.0 / 16 + 1e-6).all()
    # The ray meets the ball, of radius 0.36 around the z axis at this height, at t = 1.64 and not before.
    seen = tutorial.render_samples(tutorial.solid_scene, origins, directions, coarse)
    t = tutorial.where_the_weights_are(coarse, seen.weights, 64)
    assert t[0].quantile(0.1) > 1.5
    assert t[0].quantile(0.9) < 1.9
    marched = tutorial.march(origins, directions, tutorial.occupied_cells(32), 0.02)
    assert 1.5 < float(marched.t_starts[0]) < 1.65
    assert float(tutorial.render_samples(tutorial.solid_scene, origins, directions, marched).depth) == pytest.approx(
        1.64 + 1 / 40, abs=0.02
    )


def test_the_training_loop_learns(tutorial):
    torch.manual_seed(0)
    options = tutorial.Options(Path("unused"), side=24, train_steps=150, n_views=12)
    _, moments = tutorial.learn_the_scene(options)
    assert moments[-1].step == 150
    assert moments[-1].psnr > 17.0 > moments[0].psnr + 2.0
    assert moments[-1].samples_per_ray < 0.5 * moments[0].samples_per_ray
