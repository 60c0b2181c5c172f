"""docs/extending, word for word: its files make a method that trains, and nothing of the package is edited."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.data.scene_box import SceneBox

PAGES = Path(__file__).parents[1] / "docs" / "extending"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
FILE = re.compile(r"# (toy/\w+\.py)\n")


def blocks(language: str) -> list[str]:
    return [
        text
        for page in sorted(PAGES.glob("*.md"))
        for kind, text in BLOCK.findall(page.read_text())
        if kind == language
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages' files in it."""
    folder = tmp_path_factory.mktemp("extending")
    (folder / "toy").mkdir()
    for text in blocks("python"):
        name = FILE.match(text)
        assert name, "each block of Python is a file"
        (folder / name[1]).write_text(text)
    return folder


@pytest.fixture(scope="module")
def toy(folder: Path):
    """The package of the pages, imported."""
    sys.path.insert(0, str(folder))
    yield importlib.import_module("toy.method")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name == "toy" or name.startswith("toy.")]:
        del sys.modules[name]
    importlib.import_module("nerf_plugins.spaces").SPACES.pop("ball")


def bundle(n: int = 8) -> RayBundle:
    directions = torch.nn.functional.normalize(torch.tensor([[0.0, 0.1, -1.0]]), dim=-1).repeat(n, 1)
    return RayBundle(
        origins=torch.tensor([[0.0, 0.0, 3.0]]).repeat(n, 1),
        directions=directions,
        pixel_area=torch.full((n, 1), 3e-4),
        camera_indices=torch.arange(n)[:, None] % 3,
        times=torch.linspace(0.0, 1.0, n)[:, None],
    )


def make_model(toy):
    torch.manual_seed(0)
    box = SceneBox(aabb=torch.tensor([[-1.0] * 3, [1.0] * 3]))
    return toy.method.config.pipeline.model.setup(scene_box=box, num_train_data=3, metadata={})


def test_every_page_is_a_file_of_the_toy(folder: Path):
    pages = {page.stem for page in PAGES.glob("*.md")} - {"README"}
    assert {path.stem for path in (folder / "toy").iterdir()} == pages


def test_size_time_and_photo_reach_the_field(toy):
    model, seen = make_model(toy).train(), []
    model.field.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    outputs = model(bundle())
    (points,) = seen
    assert torch.equal(points.per_point(points.times), torch.linspace(0.0, 1.0, 8).repeat_interleave(32))
    assert torch.equal(points.per_point(points.camera_indices), (torch.arange(8) % 3).repeat_interleave(32))
    # A pixel is a hundredth of the distance wide, sqrt(3e-4 / 3), and the ball halves lengths: around the scene's middle, 3 away, the
    # cone's radius is 0.03 and its deviation across half of that, in the field 0.0075; along the ray some ten times as much.
    middle = points.scales[points.positions[:, 2].abs() < 0.3]
    assert len(middle) > 0
    assert ((middle > 0.0075) & (middle < 0.03)).all()
    losses = model.get_loss_dict(outputs, {"image": torch.rand(8, 3)})
    assert losses.keys() == {"rgb_loss", "toy_codes"}
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.field.parameters())
    seen.clear()
    with torch.no_grad():
        model.eval()(bundle())
    assert all(points.camera_indices is None for points in seen)  # a picture's camera is no photo of the training


def test_the_grid_of_the_march_can_be_learnt_of_it_too(toy):
    from dataclasses import replace

    config = replace(toy.method.config.pipeline.model, sampler="occupancy")
    box = SceneBox(aabb=torch.tensor([[-1.0] * 3, [1.0] * 3]))
    model = config.setup(scene_box=box, num_train_data=3, metadata={}).train()
    model.sampler.before_step(0, model.scene)
    assert float(model.sampler.march.grid.densities.max()) > 0
    assert model(bundle())["rgb"].isfinite().all()


def test_the_spaces_small_vectors_are_those_of_its_map(toy):
    space = make_model(toy).space
    x = torch.tensor([[0.3, -0.2, 0.1], [2.0, 1.0, -3.0], [40.0, 1.0, 1.0]])
    jacobian = torch.stack([torch.func.jacrev(space.field_positions)(position) for position in x])
    pushed = space.push_forward(x, torch.eye(3).expand(3, 3, 3))
    torch.testing.assert_close(pushed.transpose(-1, -2), jacobian, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(space.field_scale(x), torch.linalg.det(jacobian).abs() ** (1 / 3), rtol=1e-3, atol=0.0)


def test_it_trains_and_goes_on_with_the_grid_that_has_grown(folder: Path):
    (script,) = [text for text in blocks("bash") if "ns-train" in text]
    tiny = " ".join(["--data=data", "--resolution=16", "--num-train=4", "--num-val=1", "--num-test=1"])
    options = "--vis=tensorboard --max-num-iterations=12 --output-dir=out --experiment-name=e --timestamp=t"
    script = script.replace("$PWD", f"$PWD:{os.environ.get('PYTHONPATH', '')}")
    script = script.replace("ns-train toy toy-data", f"ns-train toy {options} toy-data {tiny}")
    evaluate = "ns-eval --load-config out/e/toy/t/config.yml --output-path eval.json"
    go_on = script.splitlines()[-1].replace("timestamp=t", "timestamp=u --load-dir=out/e/toy/t/nerfstudio_models")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CUDA_VISIBLE_DEVICES": "",
    }
    result = subprocess.run(
        ["bash", "-euc", f"{script}\n{evaluate}\n{go_on}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    assert "Step 6: grid: (1, 4, 8, 8, 8) -> (1, 4, 16, 16, 16)" in " ".join(result.stdout.split())
    for name, step in (("t", 11), ("u", 23)):
        state = torch.load(folder / f"out/e/toy/{name}/nerfstudio_models/step-{step:09d}.ckpt", weights_only=True)
        assert state["pipeline"]["_model.field.encoding.grid"].shape[-1] == 16
        (parameter,) = [s for s in state["optimizers"]["fields"]["state"].values() if s["exp_avg"].dim() == 5]
        assert parameter["exp_avg"].shape[-1] == 16
    assert (folder / "eval.json").exists()
