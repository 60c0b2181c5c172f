"""Positional encoding from coarse to fine."""

import math

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import WindowedEncoding, WindowedEncodingConfig
from nerf_plugins.fields.encodings.frequency import encode


def by_the_paper(x: float, n: int, alpha: float) -> list[float]:
    """Of one coordinate, equation 8 written out."""
    w = [(1 - math.cos(math.pi * min(max(alpha - k, 0.0), 1.0))) / 2 for k in range(n)]
    sines = [w[k] * math.sin(2**k * math.pi * x) for k in range(n)]
    return [x, *sines, *(w[k] * math.cos(2**k * math.pi * x) for k in range(n))]


@pytest.mark.parametrize(("progress", "alpha"), [(0.0, 1.0), (0.1, 1.6), (0.25, 2.5), (0.5, 4.0), (0.8, 4.0)])
def test_it_is_the_papers_formula(progress: float, alpha: float):
    encoding = WindowedEncoding(WindowedEncodingConfig(n_frequencies=4, start_frequencies=1.0, share=0.5), 1)
    encoding.set_progress(progress)
    x = torch.tensor([[0.3], [-0.7], [0.0]])
    expected = torch.tensor([by_the_paper(value, 4, alpha) for value in (0.3, -0.7, 0.0)])
    torch.testing.assert_close(encoding(x), expected, atol=1e-6, rtol=1e-5)


def test_all_octaves_are_there_without_a_training_and_without_a_window():
    x = torch.rand(10, 3) * 2 - 1
    windowed = WindowedEncoding(WindowedEncodingConfig(n_frequencies=3, share=1.0))
    torch.testing.assert_close(windowed(x), encode(x, 3))
    open_one = WindowedEncoding(WindowedEncodingConfig(n_frequencies=3))
    open_one.set_progress(0.0)
    torch.testing.assert_close(open_one(x), encode(x, 3))


def test_octaves_fade_in_together_for_all_coordinates():
    encoding = WindowedEncoding(WindowedEncodingConfig(n_frequencies=2, share=1.0))
    encoding.set_progress(0.5)
    x = torch.full((1, 3), 0.25)
    torch.testing.assert_close(encoding(x)[0, 3:6], torch.full((3,), math.sin(math.pi / 4)))
    assert not encoding(x)[0, 6:9].any()
    assert encoding(x).shape == (1, encoding.width)


@pytest.mark.parametrize(("progress", "alpha"), [(0.0, 0.0), (0.2, 0.0), (0.3, 1.0), (0.4, 2.0), (1.0, 2.0)])
def test_the_octaves_of_a_delayed_one_come_later_and_without_the_coordinates_nothing_else_is_there(progress, alpha):
    encoding = WindowedEncoding(
        WindowedEncodingConfig(n_frequencies=2, delay=0.2, share=0.4, keeps_input=False), n_coordinates=1
    )
    encoding.set_progress(progress)
    assert encoding.width == 4
    expected = torch.tensor([by_the_paper(0.3, 2, alpha)[1:]])
    torch.testing.assert_close(encoding(torch.tensor([[0.3]])), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"n_frequencies": -1},
        {"share": 1.5},
        {"start_frequencies": -1.0},
        {"delay": 0.5, "share": 0.5},
        {"delay": -0.1},
        {"n_frequencies": 0, "keeps_input": False},
    ],
)
def test_bad_options_are_refused(options: dict):
    with pytest.raises(InputError, match="windowed encoding"):
        WindowedEncodingConfig(**options)
