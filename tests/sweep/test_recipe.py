"""Recipes: what is wrong is one line that names it, before anything is trained."""

import zipfile
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from nerf_plugins.errors import InputError
from nerf_plugins.sweep.command import sweep
from nerf_plugins.sweep.options import SweepOptions
from nerf_plugins.sweep.planned_runs import plan
from nerf_plugins.sweep.recipe import read_recipe

GOOD = {"methods": ["nerf-hash-custom"], "steps": [10, 20], "dataparser": "demo-data"}


def write(folder: Path, **changes) -> Path:
    path = folder / "some.yaml"
    path.write_text(yaml.safe_dump({**GOOD, "output_dir": str(folder / "out"), **changes}))
    return path


def runs(folder: Path, **changes):
    return plan(read_recipe(write(folder, **changes)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metods": ["x"]}, ["'metods'", "methods"]),
        ({"frames": [4, 8]}, ["some.yaml", "'frames' is called 'n_images'"]),
        ({"steps": []}, ["steps", "empty"]),
        ({"steps": [10, 0]}, ["steps", "0"]),
        ({"steps": ["many"]}, ["steps", "'many'"]),
        ({"n_images": [1]}, ["n_images", "1"]),
        ({"seeds": [3, 3]}, ["seeds", "3 twice"]),
        ({"options": ["a"]}, ["options"]),
        ({"methods": ["nerf-hash-custm"]}, ["nerf-hash-custm", "nerf-hash-custom"]),
        ({"dataparser": "demo-dat"}, ["demo-dat", "demo-data"]),
        ({"data": "/no/such/place"}, ["/no/such/place"]),
        ({"dataparser_options": ["resolutoin=16"]}, ["resolutoin", "dataparser.resolution"]),
        (
            {"options": {"pipeline.model.field.encoding.log2_table_siz": 10}},
            ["log2_table_siz", "encoding.log2_table_size?"],
        ),
        ({"options": {"steps-per-sav": 5}}, ["steps_per_sav", "steps_per_save"]),
        ({"options": {"steps_per_save": "often"}}, ["steps_per_save", "'often'", "int"]),
        ({"options": {"pipeline.datamanager.subset.choice": "odd"}}, ["choice", "'odd'", "even"]),
        ({"options": {"pipeline.model.field": 3}}, ["pipeline.model.field", "group"]),
        ({"options": {"max-num-iterations": 3}}, ["max_num_iterations", "steps"]),
        ({"grid": {"optimizers.field.optimizer.lr": [1]}}, ["optimizers.field", "optimizers.fields"]),
        ({"methods": ["nerf-hash-custom+model.fieldd.x=1"]}, ["model.fieldd", "model.field"]),
        ({"methods": ["nerfacto"], "n_images": [2]}, ["n_images", "nerfacto"]),
        ({"grid": {"machine.seed": [1, 2]}}, ["machine.seed", "seeds"]),
        ({"grid": {"pipeline.datamanager.subset.n-images": [2, 3]}}, ["n_images", "n_images"]),
        ({"grid": {"steps-per-save": [6, 7]}, "options": {"steps_per_save": 5}}, ["steps_per_save", "twice"]),
        ({"grid": {"steps-per-save": [6], "steps_per_save": [7]}}, ["steps_per_save", "twice"]),
        ({"dataparser_options": ["num-train=9", "num_train=8"]}, ["num_train", "twice"]),
        ({"name": ".."}, ["name", "'..'"]),
        ({"name": "a/b"}, ["name", "'a/b'"]),
        ({"name": "ü" * 150}, ["name", "300 bytes"]),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path, changes, words):
    with pytest.raises(InputError) as error:
        runs(tmp_path, **changes)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), error.value


def test_the_grid_is_every_combination_with_its_options_set(tmp_path):
    name = "pipeline.model.occupancy.grid.resolution"
    grid = {name: [16, 32], "optimizers.fields.optimizer.lr": [0.01]}
    options = {"pipeline.model.occupancy.steps-per-diagonal": 64}
    methods = ["nerf-hash-custom", "vanilla-nerf-custom+model.field.skips=1 2"]
    made = runs(tmp_path, methods=methods, grid=grid, options=options, n_images=[2, "all"], seeds=[0, 1])
    assert len(made) == len({run.label for run in made}) == 16
    for run in made:
        config = run.config
        assert config.pipeline.model.occupancy.grid.resolution == run.choices[name]
        assert config.pipeline.model.occupancy.steps_per_diagonal == 64
        assert config.pipeline.datamanager.subset.n_images == run.n_images
        assert config.machine.seed == run.seed
        assert config.optimizers["fields"]["optimizer"].lr == 0.01
    assert made[-1].config.pipeline.model.field.skips == (1, 2)
    assert {(run.n_images, run.seed) for run in made} == {(2, 0), (2, 1), (None, 0), (None, 1)}


def test_a_folders_name_follows_the_settings_but_not_the_steps_in_between(tmp_path):
    label = runs(tmp_path)[0].label
    assert runs(tmp_path, steps=[5, 10, 20])[0].label == label
    assert runs(tmp_path, options={"steps_per_save": 7})[0].label != label
    assert runs(tmp_path, dataparser_options=["resolution=16"])[0].label != label


def test_another_last_step_is_another_run_where_schedules_end_there(tmp_path):
    def label(last: int, **changes) -> str:
        return runs(tmp_path, steps=[10, last], **changes)[0].label

    assert label(20) != label(30)
    assert label(20, options={"optimizers.fields.scheduler.max_steps": 40}) != label(20)
    fixed = {f"optimizers.{name}.scheduler.max_steps": 40 for name in ("fields", "camera_opt")}
    assert label(20, options=fixed) == label(30, options=fixed)
    assert label(20, methods=["nerfacto"]) == label(30, methods=["nerfacto"])
    assert label(20, methods=["splatfacto"]) == label(30, methods=["splatfacto"])  # has groups without a schedule


def schedules_end(config) -> set[int]:
    return {group["scheduler"].max_steps for group in config.optimizers.values()}


def test_a_run_that_goes_on_has_the_schedules_of_the_whole_training(tmp_path):
    run = runs(tmp_path, methods=["neus-hash-custom"])[0]
    assert schedules_end(run.next_config()) == {20}
    checkpoint(run, 10)
    config = run.next_config()
    assert (config.max_num_iterations, schedules_end(config)) == (10, {20})
    fixed = {"optimizers.fields.scheduler.max_steps": 40}
    assert schedules_end(runs(tmp_path, methods=["neus-hash-custom"], options=fixed)[0].config) == {20, 40}


def test_a_key_that_is_there_twice(tmp_path):
    path = write(tmp_path)
    path.write_text(
        path.read_text() + "grid: &lr {optimizers.fields.optimizer.lr: [0.1]}\noptions: {<<: {steps_per_save: 5}}\n"
    )
    assert read_recipe(path).options == {"steps_per_save": 5}
    path.write_text(path.read_text() + "seeds: [1]\nseeds: [2]\n")
    with pytest.raises(InputError, match="'seeds' is there twice"):
        read_recipe(path)


def test_a_path_may_hold_spaces(tmp_path):
    run = runs(tmp_path, options={"pipeline.datamanager.subset.split-file": "sp ace/split ü.json"})[0]
    assert run.config.pipeline.datamanager.subset.split_file == Path("sp ace/split ü.json")


def test_an_output_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written to .*give another output_dir"):
        sweep(SweepOptions(write(tmp_path, output_dir=str(tmp_path / "file"))))


def test_a_dry_run_writes_nothing(tmp_path):
    recipe = write(tmp_path)
    _, is_complete = sweep(SweepOptions(recipe, dry_run=True), Console(quiet=True))
    assert not is_complete
    assert list(tmp_path.iterdir()) == [recipe]
    for steps in (10, 20):
        checkpoint(runs(tmp_path)[0], steps)
    there = sorted(tmp_path.rglob("*"))
    path, is_complete = sweep(SweepOptions(recipe, dry_run=True), Console(quiet=True))
    assert is_complete
    assert sorted(tmp_path.rglob("*")) == there
    assert path == tmp_path / "out/some/sweep.csv"


def checkpoint(run, steps: int) -> None:
    path = run.folder.checkpoint(steps)
    path.parent.mkdir(parents=True, exist_ok=True)
    zipfile.ZipFile(path, "w").close()


def test_where_a_run_goes_on_is_read_from_its_checkpoints(tmp_path):
    run = runs(tmp_path)[0]
    config = run.next_config()
    assert (config.load_checkpoint, config.max_num_iterations, config.save_at_steps) == (None, 20, (10, 20))
    checkpoint(run, 13)  # nerfstudio's own, of use only once the listed one before it is there
    assert run.next_config().load_checkpoint is None
    checkpoint(run, 10)
    config = run.next_config()
    assert (config.load_checkpoint, config.max_num_iterations) == (run.folder.checkpoint(13), 7)
    run.folder.checkpoint(17).write_bytes(b"half of")
    assert run.next_config().load_checkpoint == run.folder.checkpoint(13)
    checkpoint(run, 20)
    assert run.next_config() is None


def test_other_trainers_go_from_one_listed_step_to_the_next(tmp_path):
    run = runs(tmp_path, methods=["nerfacto"])[0]
    assert run.next_config().max_num_iterations == 10
    checkpoint(run, 10)
    config = run.next_config()
    assert (config.load_checkpoint, config.max_num_iterations) == (run.folder.checkpoint(10), 10)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "configs/sweeps").glob("*.yaml")), ids=lambda p: p.stem
)
def test_the_recipes_that_are_shipped_are_sound(path):
    assert plan(read_recipe(path))
