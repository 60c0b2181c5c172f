"""Which runs are seeds of one setting."""

import copy
from pathlib import Path

from nerfstudio.configs.method_configs import all_methods

from nerf_plugins.evaluation.settings import name_settings, settings_of
from nerf_plugins.methods import neus_hash
from nerf_plugins.runs.config_options import with_option


def config_of(**changes):
    config = neus_hash.method.config
    for name, value in changes.items():
        config = with_option(config, name.replace("__", "."), value)
    return config


def test_runs_that_differ_in_the_seed_have_one_setting():
    first = settings_of(config_of(machine__seed=1, timestamp="a", steps_per_save=5))
    assert first == settings_of(config_of(machine__seed=2, timestamp="b", pipeline__datamanager__subset__n_images=7))
    by_parser = settings_of(config_of(pipeline__datamanager__dataparser__data="a"))
    assert by_parser == settings_of(config_of(pipeline__datamanager__data="a")) != first
    other = settings_of(config_of(pipeline__model__eikonal_loss_mult=0.5))
    assert name_settings(["m", "m", "n"], [first, other, other]) == [
        "m eikonal_loss_mult=0.01",
        "m eikonal_loss_mult=0.5",
        "n",
    ]


def test_trainings_whose_schedules_end_elsewhere_are_no_seeds_of_one_setting():
    def end(**changes) -> str:
        return settings_of(config_of(**changes))["schedules_end"]

    assert (end(max_num_iterations=5000), end(max_num_iterations=10000)) == ("5000", "10000")
    own = neus_hash.method.config.get_base_dir() / "nerfstudio_models"
    resumed = {"load_checkpoint": own / "step-000003999.ckpt", "max_num_iterations": 1000}
    assert settings_of(config_of(**resumed)) == settings_of(config_of(max_num_iterations=5000))
    assert end(load_dir=own, load_step=3999, max_num_iterations=1000) == "5000"
    assert end(**resumed, restart_steps=True) == "1000"
    assert end(load_checkpoint="x/mine.ckpt", max_num_iterations=1000) == "1000"  # nothing says where it began
    fields, variance = (f"optimizers.{group}.scheduler.max_steps" for group in ("fields", "variance"))
    apart = settings_of(config_of(optimizers__variance__scheduler__max_steps=5000, max_num_iterations=1000))
    assert (apart[fields], apart[variance]) == ("1000", "5000")
    planned = {name.replace(".", "__"): 5000 for name in (fields, variance, fields.replace("fields", "camera_opt"))}
    assert end(**planned, max_num_iterations=1000) == "5000"  # as a sweep has it
    others = [copy.deepcopy(all_methods["nerfacto"]) for _ in range(2)]
    others[1].max_num_iterations = 7
    assert settings_of(others[0]) == settings_of(others[1])


def test_trainings_that_began_with_other_models_are_no_seeds_of_one_setting():
    first, same, other = (
        settings_of(config_of(load_dir=f"outputs/{run}/nerfstudio_models", restart_steps=True, machine__seed=seed))
        for run, seed in (("a", 1), ("a", 2), ("b", 1))
    )
    assert first == same != other
    one, two = (settings_of(config_of(load_checkpoint=f"outputs/{run}.ckpt", restart_steps=True)) for run in "ab")
    assert one != two


def test_options_of_one_name_are_told_apart():
    settings = [
        {"a.fields.lr": x, "b.fields.lr": "0", "b.variance.lr": y, "lr": x} for x, y in (("1", "1"), ("2", "2"))
    ]
    assert name_settings(["m", "m"], settings)[1] == "m fields.lr=2 variance.lr=2 lr=2"


def test_copies_of_one_split_file_are_one_setting(tmp_path: Path):
    def settings(name: str, text: str) -> dict[str, str]:
        (tmp_path / name).write_text(text)
        return settings_of(config_of(pipeline__datamanager__subset__split_file=str(tmp_path / name)))

    first = settings("a.json", '{"train": [1, 2]}')
    assert first == settings("b.json", '{"train": [1, 2]}')
    assert first != settings("c.json", '{"train": [1, 3]}')
