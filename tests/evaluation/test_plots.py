"""Plots of settings."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerf_plugins.errors import InputError
from nerf_plugins.evaluation.plots import plot_psnr
from nerf_plugins.evaluation.tables import group_by_setting
from tests.evaluation.test_tables import evaluation


def test_plots_are_not_overwritten(tmp_path: Path):
    settings = group_by_setting([evaluation([20.0 + n], 4, n, 1) for n in (1, 2)], ["m"] * 2)
    plot_psnr(settings, tmp_path)
    with pytest.raises(InputError, match=r"psnr_over_steps\.png exists and is not overwritten"):
        plot_psnr(settings, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_long_names_do_not_cover_the_plot(tmp_path: Path):
    evaluations = [evaluation([20.0 + n], 4, n, 1) for n in (1, 2)]
    settings = group_by_setting(evaluations, ["method " + "option=value " * 30] * 2)
    (path,) = plot_psnr(settings, tmp_path)
    dark = np.asarray(Image.open(path).convert("L"))[:480, 120:] < 100
    assert (
        dark[:, -40:].sum() > 400
    )  # the frame's right side, which a legend in the plot would push out of the picture or cover
    assert dark[470].mean() < 0.2
