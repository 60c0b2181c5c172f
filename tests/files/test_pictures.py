"""Pictures in a row."""

import torch

from nerf_plugins.files.pictures import strip


def test_a_strip_has_the_pictures_in_their_order():
    row = strip([torch.zeros(8, 8, 3), torch.ones(8, 8, 3) * torch.tensor([1.0, 0.0, 0.0])], ["a", "b"])
    assert row.getpixel((4, 4)) == (0, 0, 0)
    assert row.getpixel((row.width - 4, 4)) == (255, 0, 0)
