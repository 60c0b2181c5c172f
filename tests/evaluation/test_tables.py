"""Tables by hand."""

from types import SimpleNamespace

import pytest

from nerf_plugins.evaluation.checkpoints import Evaluation
from nerf_plugins.evaluation.plots import lines_over
from nerf_plugins.evaluation.tables import group_by_setting, markdown


def evaluation(psnrs: list[float], images: int, steps: int, seed: int) -> Evaluation:
    run = SimpleNamespace(config=SimpleNamespace(machine=SimpleNamespace(seed=seed)))
    scores = {f"r_{i}": {"psnr": psnr} for i, psnr in enumerate(psnrs)}
    return Evaluation(run, steps, images, {"train_seconds": 10.0 * seed}, scores)  # type: ignore[arg-type]


def test_the_spread_over_seeds_by_hand():
    evaluations = [evaluation([9.0], 8, 10, 1), evaluation([20.0, 22.0], 4, 10, 1), evaluation([24.0, 26.0], 4, 10, 2)]
    settings = group_by_setting(evaluations, ["m"] * 3)
    assert [(s.n_images, len(s.evaluations)) for s in settings] == [(4, 2), (8, 1)]
    assert settings[0].mean_and_std("psnr") == pytest.approx((23.0, 8.0**0.5))  # of 21 and 25
    assert settings[0].mean_and_std("train_seconds") == pytest.approx((15.0, 50.0**0.5))
    assert settings[1].mean_and_std("psnr") == (9.0, 0.0)
    assert settings[0].mean_and_std("lpips") is None
    assert lines_over("n_images", settings) == {"m": [(4, pytest.approx(23.0), pytest.approx(8.0**0.5)), (8, 9.0, 0.0)]}
    assert list(lines_over("steps", settings)) == ["m, 4 images", "m, 8 images"]
    text = markdown(settings, evaluations, ["m"] * 3)
    assert "| m | 4 | 10 | 2 | 23.00 ± 2.83 | 15.0 ± 7.1 |" in text
    assert "| m | 4 | 10 | 2 | r_1 | 26.00 |" in text


def test_images_of_several_sizes_have_a_table_by_size():
    evaluations = [evaluation([20.0, 22.0, 30.0], 4, 10, 1), evaluation([10.0, 10.0, 10.0], 4, 10, 2)]
    for one in evaluations:
        one.sizes = {"r_0": "40x20", "r_1": "40x20", "r_2": "100x50"}
    text = markdown(group_by_setting(evaluations, ["m"] * 2), evaluations, ["m"] * 2)
    by_size = text[text.index("of a size") : text.index("Each image")]
    assert by_size.index("| m | 4 | 10 | 1 | 100x50 | 30.00 |") < by_size.index("| m | 4 | 10 | 1 | 40x20 | 21.00 |")
    for one in evaluations:
        one.sizes = dict.fromkeys(one.images, "40x20")
    assert "of a size" not in markdown(group_by_setting(evaluations, ["m"] * 2), evaluations, ["m"] * 2)
