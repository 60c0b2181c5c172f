"""Encodings of planes and lines: their values, what they start from, and how they grow."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import KPlanesEncodingConfig, TensorEncodingConfig
from nerf_plugins.fields.encodings.factorised import FactorisedEncoding
from nerf_plugins.fields.growing import grow, take_shapes

SMALL = {"n_features": 8, "start_resolution": 4, "resolution": 16, "n_growths": 2}


def encodings() -> dict[str, FactorisedEncoding]:
    torch.manual_seed(0)
    return {
        "vm": TensorEncodingConfig(**SMALL).setup(),
        "cp": TensorEncodingConfig(decomposition="cp", **SMALL).setup(),
        "k-planes": KPlanesEncodingConfig(**SMALL).setup(),
        "moving": KPlanesEncodingConfig(time_resolution=5, **SMALL).setup(moving=True),
    }


NAMES = ("vm", "cp", "k-planes", "moving")


def coordinates(encoding: FactorisedEncoding, n: int = 50) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, encoding.layout.n_coordinates, generator=generator) * 2 - 1


def test_sizes_by_hand():
    sizes = {name: (encoding.width, len(encoding.table)) for name, encoding in encodings().items()}
    assert sizes["vm"] == (3 * 8, 3 * 16 + 3 * 4)
    assert sizes["cp"] == (8, 3 * 4)
    assert sizes["k-planes"] == (2 * 8, 3 * 4 + 3 * 16)
    assert sizes["moving"] == (2 * 8, 3 * 4 + 3 * 2 * 5 + 3 * 16 + 3 * 4 * 5)


def test_a_tensors_components_by_hand():
    """Planes of 2, lines of 3 but for that of x, which is 5."""
    encoding = encodings()["vm"]
    with torch.no_grad():
        planes, lines = encoding.planes
        planes.fill_(2.0)
        lines.fill_(3.0)
        lines[2].fill_(5.0)
    features = encoding(coordinates(encoding))
    assert features[0].tolist() == pytest.approx([6.0] * 16 + [10.0] * 8)


def test_a_plane_of_time_changes_its_own_coordinate_and_scale():
    encoding = encodings()["moving"]
    x = coordinates(encoding)
    with torch.no_grad():
        before = encoding(x)
        encoding.planes_of_time[1][2, :, 3:] = 2.0  # of z, in the second half of the time, at the finer scale
        after = encoding(x)
    late, early = x[:, 3] >= 0.5, x[:, 3] <= 0.0
    assert late.any()
    assert early.any()
    torch.testing.assert_close(after[:, :8], before[:, :8])
    torch.testing.assert_close(after[early], before[early])
    torch.testing.assert_close(after[late, 8:], 2.0 * before[late, 8:])


def test_a_scene_stands_still_until_it_is_seen_to_move():
    encoding = encodings()["moving"]
    x = coordinates(encoding)
    torch.testing.assert_close(encoding(x), encoding(x.index_fill(1, torch.tensor(3), -1.0)))
    assert all((planes == 1).all() for planes in encoding.planes_of_time)
    assert all(((planes >= 0.1) & (planes <= 0.5)).all() for planes in encoding.planes_of_space)
    assert encodings()["k-planes"].planes_of_time == []


@pytest.mark.parametrize("name", NAMES)
def test_growing_keeps_what_is_linear(name):
    """Numbers that are linear along each axis are the same function at any resolution."""
    encoding = encodings()[name]
    with torch.no_grad():
        for group in encoding.planes:
            ramps = torch.meshgrid(*[torch.linspace(-1, 1, size) for size in group.shape[1:-1]], indexing="ij")
            group.copy_(sum((k + 1) * ramp for k, ramp in enumerate(ramps))[None, ..., None].expand_as(group) + 0.3)
    x = coordinates(encoding)
    before = encoding(x).detach()
    assert grow(encoding, 1.0, []) == [f"table: ({_length(encoding, 4)}, 8) -> ({_length(encoding, 16)}, 8)"]
    assert encoding.resolution == 16
    torch.testing.assert_close(encoding(x).detach(), before, rtol=1e-4, atol=1e-5)


def _length(encoding: FactorisedEncoding, resolution: int) -> int:
    return encoding.layout_at(resolution).n_vertices


def test_it_grows_when_it_is_due_with_its_moments():
    encoding = encodings()["vm"]
    optimizer = torch.optim.Adam(encoding.parameters(), lr=0.1)
    encoding(coordinates(encoding)).sum().backward()
    optimizer.step()
    found = []
    for progress in (0.0, 0.07, 0.16, 0.25, 1.0):
        grow(encoding, progress, [optimizer])
        found.append(encoding.resolution)
        assert encoding(coordinates(encoding)).isfinite().all()
    assert found == [4, 8, 8, 16, 16]
    moments = optimizer.state[encoding.table]
    assert moments["exp_avg"].shape == moments["exp_avg_sq"].shape == encoding.table.shape
    assert (moments["exp_avg_sq"] >= 0).all()
    assert moments["exp_avg"].any()


@pytest.mark.parametrize("resolution", [8, 11])
def test_a_checkpoint_of_any_resolution_is_loaded(resolution):
    """Also of one that these options never have."""
    saved = TensorEncodingConfig(**SMALL | {"start_resolution": resolution}).setup()
    fresh = encodings()["vm"]
    fresh(coordinates(fresh))  # it knows its layout before
    take_shapes(fresh, saved.state_dict())
    fresh.load_state_dict(saved.state_dict())
    assert fresh.resolution == resolution
    torch.testing.assert_close(fresh(coordinates(fresh)), saved(coordinates(fresh)))


def test_a_table_of_another_decomposition_is_refused():
    encoding = encodings()["vm"]
    encoding.table.data = torch.zeros(61, 8)
    with pytest.raises(InputError, match="61 vertices fits no resolution"):
        encoding(torch.zeros(1, 3))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (TensorEncodingConfig, {"n_features": 0}, "n_features must be >= 1, got 0"),
        (TensorEncodingConfig, {"start_resolution": 65, "resolution": 64}, "got 65 and 64"),
        (TensorEncodingConfig, {"growth_start": 0.5, "growth_end": 0.4}, "growth_start <= growth_end"),
        (TensorEncodingConfig, {"deviation": 0.0}, "deviation must be > 0"),
        (KPlanesEncodingConfig, {"n_scales": 3, "start_resolution": 7}, "at least 2\\^n_scales"),
        (KPlanesEncodingConfig, {"time_resolution": 1}, "time_resolution must be >= 2, got 1"),
    ],
)
def test_options_are_checked(kind, options, message):
    with pytest.raises(InputError, match=message):
        kind(**options)
