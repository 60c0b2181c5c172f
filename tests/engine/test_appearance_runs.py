"""Codes of photos in small real runs: what auto decides, evaluation, fine-tuning with other photos, paths and meshes with looks."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
import yaml
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.utils.eval_utils import eval_setup
from PIL import Image

from nerf_plugins.camera_paths.styles import styles_along
from nerf_plugins.data.subset import SubsetConfig
from nerf_plugins.engine.pipeline import NerfPipeline
from nerf_plugins.engine.styled_paths import path_with_styles
from nerf_plugins.engine.trainer import NerfTrainer, PluginTrainerConfig
from nerf_plugins.errors import InputError
from nerf_plugins.export.command import mesh_of
from nerf_plugins.export.options import MeshOptions
from nerf_plugins.fields.appearance import AppearanceConfig, CodeAppearance
from nerf_plugins.fields.codes import PHOTO_WEIGHTS
from nerf_plugins.fields.deformed import DeformedFieldConfig
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.methods import nerf_hash
from tests.data.datasets import write_transforms
from tests.training import set_up

N = 40
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures(
        "without_type_checker"
    ),  # nerfstudio declares a device's name and hands a torch.device over
]


def every_other_dark(k: int, rgb: np.ndarray, disc: np.ndarray) -> Image.Image:
    return Image.fromarray((rgb * (0.4 if k % 2 else 1.0)).astype(np.uint8))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("appearance")
    write_transforms(place / "changing", every_other_dark, N)
    write_transforms(place / "constant", n=N)
    return place


def make_config(workspace: Path, name: str, data: str = "changing", **options) -> PluginTrainerConfig:
    config = copy.deepcopy(nerf_hash.method.config)
    assert isinstance(config, PluginTrainerConfig)
    config.output_dir, config.experiment_name, config.timestamp = workspace / "out", "e", name
    config.vis, config.logging.local_writer.enable, config.machine.device_type = "tensorboard", False, "cpu"
    config.max_num_iterations, config.load_dir = 3, options.pop("load_dir", None)
    config.freeze, config.restart_steps = options.pop("freeze", ()), config.load_dir is not None
    pipeline = config.pipeline
    pipeline.datamanager.dataparser = NerfstudioDataParserConfig(
        data=workspace / data, eval_mode="interval", eval_interval=20
    )
    pipeline.datamanager.subset = options.pop("subset", SubsetConfig())
    pipeline.model.field.encoding = HashEncodingConfig(n_levels=4, log2_table_size=10)
    pipeline.model.occupancy.grid.resolution, pipeline.model.occupancy.steps_per_diagonal = 16, 64
    assert not options
    return config


@pytest.fixture(scope="module")
def first(workspace: Path) -> NerfTrainer:
    trainer = set_up(make_config(workspace, "first"))
    trainer.train()
    return trainer


def saved_appearance(trainer: NerfTrainer) -> AppearanceConfig:
    text = (trainer.base_dir / "config.yml").read_text()
    return yaml.load(text, Loader=yaml.Loader).pipeline.model.field.appearance


def test_auto_is_settled_by_the_photos_and_the_runs_config_says_how(workspace: Path, first: NerfTrainer):
    assert saved_appearance(first) == AppearanceConfig(kind="codes")
    names = first.pipeline.datamanager.train_image_names
    assert first.pipeline.model.field.appearance.codes.weight.shape == (len(names), 16)
    spread = first.pipeline.datamanager.train_dataset.metadata["exposure_spread"]
    assert 1.0 < spread < 3.5  # 2.2 log2(1 / 0.4) = 2.9, of what is seen
    constant = set_up(make_config(workspace, "constant", "constant"))
    assert saved_appearance(constant) == AppearanceConfig(kind="none")
    assert constant.pipeline.model.looks is None


def test_what_is_said_of_codes_names_the_option_of_the_method(capsys: pytest.CaptureFixture[str]):
    """Of a field that is seen through a warp the colours are the canonical field's."""
    for field, option in [(NeRFHashConfig(), "appearance.kind"), (DeformedFieldConfig(), "canonical.appearance.kind")]:
        model = SimpleNamespace(field=field)
        pipeline: Any = SimpleNamespace(
            config=SimpleNamespace(model=model),
            model=torch.nn.ModuleList([CodeAppearance(2, 3)]),
            datamanager=SimpleNamespace(train_dataset=SimpleNamespace(metadata={"exposure_spread": 0.6})),
        )
        NerfPipeline._settle_appearance(pipeline)
        said = " ".join(capsys.readouterr().out.split())
        assert f"Off: --pipeline.model.field.{option} none" in said


def test_an_evaluation_reports_three_codes_by_name(first: NerfTrainer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nerf_plugins.models.half_image.FIT_STEPS", 2)
    monkeypatch.setattr("nerf_plugins.models.metrics.lpips_model", lambda: None)
    _, pipeline, _, _ = eval_setup(first.base_dir / "config.yml", test_mode="test")
    metrics = pipeline.get_average_eval_image_metrics()
    wanted = {"psnr_mean_code", "psnr_mean_right_half", "psnr_nearest_code", "psnr_fitted_right_half"}
    assert wanted <= set(metrics)
    assert metrics["psnr"] == pytest.approx(metrics["psnr_mean_code"], abs=1e-4)


def test_style_from_other_photos_finds_codes_by_name_and_leaves_the_geometry(workspace: Path, first: NerfTrainer):
    old = first.pipeline.model.field.appearance.codes.weight.detach().clone()
    known = first.pipeline.datamanager.train_image_names
    lists = workspace / "lists.json"
    lists.write_text(json.dumps({"train": [*(f"images/{k:03d}" for k in (7, 3, 1)), "images/000", "images/020"]}))
    subset = SubsetConfig(split_file=lists)  # 0 and 20 were held out
    trainer = set_up(
        make_config(workspace, "style", subset=subset, load_dir=first.checkpoint_dir, freeze=("geometry",))
    )
    codes = trainer.pipeline.model.field.appearance.codes.weight
    rows = [*(old[known.index(f"images/{k:03d}.png")] for k in (7, 3, 1)), old.mean(0), old.mean(0)]
    torch.testing.assert_close(codes.detach(), torch.stack(rows))
    assert saved_appearance(trainer) == AppearanceConfig(kind="codes")  # of the checkpoint: five photos say nothing
    before = {name: value.clone() for name, value in trainer.pipeline.model.named_parameters()}
    trainer.train()
    moved = {n for n, value in trainer.pipeline.model.named_parameters() if not torch.equal(value, before[n])}
    assert "field.appearance.codes.weight" in moved
    assert not {name for name in moved if name.startswith(("field.encoding", "field.density"))}


@pytest.mark.parametrize(("asked", "theirs"), [("none", "codes"), ("affine", "codes"), ("codes", "none")])
def test_codes_are_neither_added_to_a_checkpoint_nor_left_out(
    workspace: Path, first: NerfTrainer, asked: Literal["none", "affine", "codes"], theirs: str, capsys
):
    folder = first.checkpoint_dir
    if theirs == "none":
        without = set_up(make_config(workspace, "without", "constant"))
        without.save_checkpoint(0)
        folder = without.checkpoint_dir
    config = make_config(workspace, f"{theirs}-to-{asked}", load_dir=folder)
    config.pipeline.model.field.appearance = AppearanceConfig(kind=asked)
    with pytest.raises(
        SystemExit, match=f"the checkpoint was trained with appearance.kind {theirs}, this run has {asked}: "
    ):
        set_up(config)
    assert "rows found" not in capsys.readouterr().out


def test_a_camera_path_carries_looks_to_the_renderer(first: NerfTrainer):
    render = pytest.importorskip("nerfstudio.scripts.render")
    _, pipeline, _, _ = eval_setup(first.base_dir / "config.yml", test_mode="inference")
    names = pipeline.datamanager.train_image_names
    pose = torch.eye(4).ravel().tolist()
    views = [
        {"camera_to_world": pose, "fov": 50.0, "aspect": 1.0, "style": style}
        for style in styles_along(["images/001", "003"], 3, names)
    ]
    content = {"render_width": 8, "render_height": 8, "camera_path": views}
    cameras = render.get_path_from_json(content)  # as ns-render calls it
    shares = cameras.metadata[PHOTO_WEIGHTS]
    a, b = names.index("images/001.png"), names.index("images/003.png")
    assert [(float(row[a]), float(row[b])) for row in shares] == [(1.0, 0.0), (0.5, 0.5), (0.0, 1.0)]
    asked = []
    pipeline.model.shown = lambda weights=None: asked.append(weights) or torch.no_grad()
    pipeline.model.get_outputs_for_camera(cameras[1:2])
    assert torch.equal(asked[0].reshape(-1), shares[1])


def test_looks_that_cannot_be_shown_are_one_line():
    views = [{"camera_to_world": torch.eye(4).ravel().tolist(), "fov": 50.0, "aspect": 1.0}]
    content = {"render_width": 8, "render_height": 8, "camera_path": views}
    assert path_with_styles(content, ["a.png"], has_codes=False).metadata is None
    views[0]["style"] = {"b.png": 1.0}
    with pytest.raises(SystemExit, match=r"camera path, style: no training photo is called 'b\.png'"):
        path_with_styles(content, ["a.png", "c.png"], has_codes=True)
    with pytest.raises(SystemExit, match="this model was trained without codes of photos"):
        path_with_styles(content, ["b.png"], has_codes=False)


def test_a_mesh_takes_a_photos_look(workspace: Path, first: NerfTrainer):
    model, manager = first.pipeline.model.eval(), first.pipeline.datamanager
    for parameter in model.field.encoding.parameters():
        torch.nn.init.uniform_(parameter, -1.0, 1.0)
    random = 2.0 * torch.rand(500, 3) - 1.0
    model.config.surface_density = float(-model.implicit_surface().value(random).median())
    torch.nn.init.normal_(model.field.appearance.codes.weight, std=5.0)
    options = {"load_config": first.base_dir / "config.yml", "resolution": 8}
    colors = [mesh_of(model, manager, MeshOptions(**options, style=s)).visual.vertex_colors for s in (None, "001")]
    assert colors[0].shape == colors[1].shape
    assert (colors[0] != colors[1]).any()
    with pytest.raises(InputError, match="style: no training photo is called '999'"):
        mesh_of(model, manager, MeshOptions(**options, style="999"))
