"""Names of checkpoints, against nerfstudio's own."""

import inspect
from pathlib import Path

from nerfstudio.engine import trainer

from nerf_plugins.runs.checkpoints import checkpoint_name, checkpoints_in, step_of


def test_a_name_is_that_of_nerfstudios_trainer():
    assert checkpoint_name(499) == "step-000000499.ckpt"
    assert 'f"step-{step:09d}.ckpt"' in inspect.getsource(trainer)


def test_a_step_is_read_back():
    assert step_of(Path("a") / checkpoint_name(12_345_678_901)) == 12_345_678_901
    assert [step_of(Path(name)) for name in ("step-3.ckpt", "mine.ckpt", "step-.ckpt", "step-3.ckpt.tmp")] == [
        3,
        None,
        None,
        None,
    ]


def test_a_folders_checkpoints_by_their_steps(tmp_path: Path):
    for name in ("step-10.ckpt", "step-000000009.ckpt", "step-x.ckpt", "best.ckpt", "step-1.txt"):
        (tmp_path / name).touch()
    assert list(checkpoints_in(tmp_path).items()) == [
        (9, tmp_path / "step-000000009.ckpt"),
        (10, tmp_path / "step-10.ckpt"),
    ]
    assert checkpoints_in(tmp_path / "none") == {}
