"""The field of a picture."""

import pytest
import torch
from torch import nn

from nerf_plugins.errors import InputError
from nerf_plugins.image_fitting import field as module
from nerf_plugins.image_fitting.field import picture_hash, picture_mlp, pixel_centers
from nerf_plugins.image_fitting.options import PictureHashOptions, PictureMLPOptions


def test_pixel_centres_by_hand():
    expected = [[-0.75, -0.25], [-0.25, -0.25], [0.25, -0.25], [0.75, -0.25]]
    expected += [[x, 0.25] for x, _ in expected]
    assert pixel_centers(height=2, width=4).tolist() == expected
    torch.testing.assert_close(
        pixel_centers(4, 2), pixel_centers(2, 4).view(2, 4, 2).transpose(0, 1).reshape(8, 2).flip(-1)
    )


def test_the_mlp_is_encoding_layers_and_sigmoid(monkeypatch):
    monkeypatch.setattr(module, "resolve_precision", lambda *_: torch.float32)
    field = picture_mlp(PictureMLPOptions(frequencies=3, layers=2, width=20))
    points = torch.rand(7, 2) * 2 - 1
    phases = [torch.pi * 2**k * torch.cat([points, torch.zeros(7, 1)], dim=1) for k in range(3)]
    x = torch.cat([points, torch.zeros(7, 1), *(p.sin() for p in phases), *(p.cos() for p in phases)], dim=1)
    linears = [layer for layer in field.modules() if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linears] == [20, 20, 3]
    for layer in linears[:-1]:
        x = torch.relu(layer(x))
    torch.testing.assert_close(field(points), torch.sigmoid(linears[-1](x)), atol=1e-5, rtol=1e-5)


def test_the_hash_fields_finest_level_has_the_pictures_pixels():
    field = picture_hash(PictureHashOptions(levels=4, base_resolution=8), longer_side=96)
    assert field.encoding.config.max_resolution == 96
    colors = field(pixel_centers(5, 9))
    assert colors.shape == (45, 3)
    assert ((colors > 0) & (colors < 1)).all()
    colors.sum().backward()
    assert field.encoding.table.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "options", [{"frequencies": -1}, {"frequencies": 17}, {"layers": 0}, {"width": 1}, {"lr": 0.0}]
)
def test_options_of_the_mlp_out_of_range(options):
    with pytest.raises(InputError, match=f"mlp.{next(iter(options))} {next(iter(options.values()))}"):
        picture_mlp(PictureMLPOptions(**options))


@pytest.mark.parametrize("options", [{"layers": 0}, {"lr": -1.0}, {"levels": 0}, {"log2_table_size": 30}])
def test_options_of_the_hash_field_out_of_range(options):
    with pytest.raises(InputError):
        picture_hash(PictureHashOptions(**options), 64)
