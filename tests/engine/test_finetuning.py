import time

import pytest
import torch
from nerfstudio.cameras.camera_optimizers import CameraOptimizerConfig
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.pipelines.base_pipeline import VanillaPipeline
from torch import Tensor, nn

from nerf_plugins.engine.cost import TrainingCost
from nerf_plugins.engine.finetuning import differing_worlds, fit_to_images, load_optimizer, per_image_keys
from nerf_plugins.engine.pipeline import NerfPipeline
from nerf_plugins.fields.codes import ImageCodes


class PerImageModel(nn.Module):
    """Poses, codes, and something that has as many rows as there are images but none for each."""

    def __init__(self, n_images: int) -> None:
        super().__init__()
        self.camera_optimizer = CameraOptimizerConfig(mode="SO3xR3").setup(num_cameras=n_images, device="cpu")
        self.field = nn.Module()
        self.field.codes = ImageCodes(n_images, 4)
        self.field.other = nn.Linear(2, 3)
        self.told: list[int] = []
        self.progress = 0.5
        self.device = torch.device("cpu")

    def update_to_step(self, step: int) -> None:
        self.told.append(step)

    def take_up(self, step: int, progress: float) -> None:
        self.taken_up = (step, progress)
        self.progress = progress


POSES, CODES = "camera_optimizer.pose_adjustment", "field.codes.weight"
PER_IMAGE = {POSES: "zero", CODES: "mean"}


def numbered(model: PerImageModel) -> dict[str, Tensor]:
    """A state in which row i of a per-image tensor is i + 1."""
    state = {key: value.clone() for key, value in model.state_dict().items()}
    for key in (POSES, CODES):
        state[key] = torch.arange(1.0, len(state[key]) + 1)[:, None].expand_as(state[key]).clone()
    return state


def test_what_has_a_row_for_each_image_is_found_by_its_type():
    assert per_image_keys(PerImageModel(3)) == PER_IMAGE


def test_rows_follow_the_images_names_and_new_images_begin_anew():
    own = PerImageModel(4).state_dict()
    fitted = fit_to_images(numbered(PerImageModel(3)), own, PER_IMAGE, ["c", "new", "a", "newer"], ["a", "b", "c"])
    assert fitted.state[POSES][:, 0].tolist() == [3.0, 0.0, 1.0, 0.0]
    assert fitted.state[CODES][:, 3].tolist() == [3.0, 2.0, 1.0, 2.0]  # 2 is the mean
    assert fitted.changed == [POSES, CODES]
    assert fitted.lines == [
        f"Training on 4 images, 2 of them among the checkpoint's 3. {POSES}, {CODES}: 2 rows found by image name, 2 begin anew."
    ]


def test_the_same_number_of_other_images_is_noticed():
    fitted = fit_to_images(numbered(PerImageModel(2)), PerImageModel(2).state_dict(), PER_IMAGE, ["b", "a"], ["a", "b"])
    assert fitted.state[POSES][:, 0].tolist() == [2.0, 1.0]


def test_the_same_images_change_nothing():
    loaded = numbered(PerImageModel(2))
    fitted = fit_to_images(loaded, PerImageModel(2).state_dict(), PER_IMAGE, ["a", "b"], ["a", "b"])
    assert (fitted.changed, fitted.lines) == ([], [])
    assert all(fitted.state[key] is value for key, value in loaded.items())


def test_a_checkpoint_without_names_keeps_its_rows_if_there_are_as_many():
    loaded = numbered(PerImageModel(2))
    fitted = fit_to_images(loaded, PerImageModel(2).state_dict(), PER_IMAGE, ["a", "b"], None)
    assert (fitted.changed, fitted.lines) == ([], [])
    fitted = fit_to_images(loaded, PerImageModel(3).state_dict(), PER_IMAGE, ["a", "b", "c"], None)
    assert (fitted.state[POSES] == 0).all()
    assert fitted.state[CODES][:, 0].tolist() == [1.5] * 3
    assert fitted.lines[0].startswith("The checkpoint does not name its images; there are 3 now.")


def test_pose_optimisation_may_be_switched_on_and_off():
    whole = numbered(PerImageModel(2))
    without = {key: value for key, value in whole.items() if key != POSES}
    switched_on = fit_to_images(without, PerImageModel(2).state_dict(), PER_IMAGE, ["a", "b"], ["a", "b"])
    assert switched_on.state.keys() == whole.keys()
    assert switched_on.lines == [
        f"Training on 2 images, 2 of them among the checkpoint's 2. {POSES}: begins anew, the checkpoint has none like it."
    ]
    switched_off = fit_to_images(whole, without, {CODES: "mean"}, ["a", "b"], ["a", "b"], [POSES, CODES])
    assert switched_off.state.keys() == without.keys()
    assert f"{POSES}: left out" in switched_off.lines[0]


def test_a_model_that_keeps_nothing_of_images_says_so():
    state = nn.Linear(2, 3).state_dict()
    fitted = fit_to_images(state, state, {}, ["a", "b"], ["a", "b", "c"])
    assert fitted.lines == [
        "Training on 2 images, 2 of them among the checkpoint's 3. The model keeps nothing of single images."
    ]


def make_pipeline(names: list[str]) -> NerfPipeline:
    pipeline = NerfPipeline.__new__(NerfPipeline)
    nn.Module.__init__(pipeline)
    pipeline._model = PerImageModel(len(names))  # type: ignore[assignment]
    pipeline.datamanager = nn.Module()  # type: ignore[assignment]
    pipeline.datamanager.train_image_names = names  # type: ignore[misc]
    pipeline.datamanager.scene_from_world = torch.eye(4)[:3]  # type: ignore[misc]
    pipeline.test_mode = "val"
    pipeline.cost = TrainingCost(torch.device("cpu"))
    return pipeline


@pytest.mark.parametrize("prefix", ["_model.", "_model.module."], ids=["one device", "several"])
def test_a_pipeline_loads_a_checkpoint_of_other_images(prefix: str, capsys: pytest.CaptureFixture):
    first = make_pipeline(["a", "b", "c"])
    first.model.load_state_dict(numbered(first.model))
    state = {key.replace("_model.", prefix): value for key, value in first.state_dict().items()}
    second = make_pipeline(["c", "x"])
    second.load_pipeline(state, 10)
    assert second.model.camera_optimizer.pose_adjustment[:, 0].tolist() == [3.0, 0.0]
    assert [id(p) for p in second.renewed] == [id(second.model.get_parameter(key)) for key in (POSES, CODES)]
    assert "1 rows found by image name, 1 begin anew" in " ".join(capsys.readouterr().out.split())


def test_a_checkpoint_is_plain_and_holds_names_and_steps(tmp_path):
    first = make_pipeline(["a", "b"])
    first.restart_steps(9)
    first.cost.load({"train_seconds": 7.5, "train_peak_mib": 123.0})
    torch.save(first.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    world = torch.eye(4)[:3].tolist()
    facts = {"steps_before": 10, "train_seconds": 7.5, "train_peak_mib": 123.0, "format": 2, "progress": 0.5}
    facts |= {"per_image": [POSES, CODES], "appearance": "none"}
    assert state["_extra_state"] == {"train_image_names": ["a", "b"], "scene_from_world": world, **facts}
    second = make_pipeline(["a", "b"])
    second.model.progress = 0.0
    second.load_pipeline(state, 5)
    assert second.model.told == [15]
    assert second.model.progress == 0.5
    second.restart_steps(5)
    assert second.steps_before == 16
    assert (second.train_seconds, second.train_peak_mib) == (7.5, 123.0)
    second.cost.began = time.monotonic() - 3.0  # it is trained further
    assert 10.5 <= second.train_seconds < 20.0
    assert second.train_peak_mib >= 123.0


def test_a_checkpoint_that_does_not_say_how_long_it_was_trained():
    first, second = make_pipeline(["a", "b"]), make_pipeline(["a", "b"])
    state = first.state_dict()
    del state["_extra_state"]["train_seconds"], state["_extra_state"]["train_peak_mib"]
    second.load_pipeline(state, 5)
    second.cost.began = time.monotonic()
    assert second.train_seconds is None


def test_a_checkpoint_of_nerfstudios_pipeline_loads():
    first, second = make_pipeline(["a", "b"]), make_pipeline(["a", "b"])
    state = {key: value for key, value in first.state_dict().items() if key != "_extra_state"}
    second.load_pipeline(state, 5)
    assert second.model.told == [5]
    assert second.renewed == ()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state["space.aabb"].mul_(1.5), "another scene box; the model keeps the checkpoint's, [[-1.5, "),
        (
            lambda state: state["scene_from_world"][0].__setitem__(3, 0.5),
            "Warning: the dataparser turns, moves or scales",
        ),
    ],
    ids=["box", "world"],
)
def test_another_world_is_said(spoil, message: str):
    box = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
    state = {"space.aabb": box.clone(), "scene_from_world": torch.eye(4)[:3].tolist()}
    ours = {"space.aabb": box}
    assert differing_worlds(state, ours, torch.eye(4)[:3], state["scene_from_world"]) == []
    assert differing_worlds({}, ours, torch.eye(4)[:3], None) == []
    spoil(state)
    (line,) = differing_worlds(state, ours, torch.eye(4)[:3], state["scene_from_world"])
    assert message in line


def trained_adam(n_rows: int) -> tuple[list[nn.Parameter], torch.optim.Adam]:
    parameters = [nn.Parameter(torch.ones(n_rows, 6)), nn.Parameter(torch.ones(3))]
    optimizer = torch.optim.Adam(parameters, lr=0.1)
    sum(parameter.sum() for parameter in parameters).backward()  # type: ignore[union-attr]
    optimizer.step()
    return parameters, optimizer


@pytest.mark.parametrize("n_rows", [2, 4], ids=["same number", "another number"])
def test_optimisers_forget_only_what_is_another_images(n_rows: int):
    _, first = trained_adam(2)
    parameters = [nn.Parameter(torch.ones(n_rows, 6)), nn.Parameter(torch.ones(3))]
    second = torch.optim.Adam(parameters, lr=0.5)
    assert load_optimizer(second, first.state_dict(), [parameters[0]] if n_rows == 2 else [])
    assert parameters[0] not in second.state
    assert torch.equal(second.state[parameters[1]]["exp_avg"], torch.full((3,), 0.1))
    assert second.param_groups[0]["lr"] == 0.1
    sum(parameter.sum() for parameter in parameters).backward()  # type: ignore[union-attr]
    second.step()  # and it goes on


def test_an_optimiser_of_other_parameters_is_not_loaded():
    _, first = trained_adam(2)
    second = torch.optim.Adam([nn.Parameter(torch.ones(2, 6))], lr=0.5)
    assert not load_optimizer(second, first.state_dict(), [])
    assert second.param_groups[0]["lr"] == 0.5


def test_callbacks_see_the_steps_of_the_model(monkeypatch: pytest.MonkeyPatch):
    pipeline, seen = make_pipeline(["a"]), []
    place = TrainingCallbackLocation.BEFORE_TRAIN_ITERATION
    callback = TrainingCallback([place], lambda step: seen.append(step), update_every_num_iters=1)
    monkeypatch.setattr(VanillaPipeline, "get_training_callbacks", lambda self, attributes: [callback])
    pipeline.restart_steps(99)
    shifted, _ = pipeline.get_training_callbacks(TrainingCallbackAttributes(None, None, None, None))  # type: ignore[arg-type]
    shifted.run_callback_at_location(3, place)
    assert seen == [103]
