"""A canonical field seen through a warp, and the time-conditioned baseline."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import Dataset, RadianceField
from nerf_plugins.fields.deformed import DeformedField, DeformedFieldConfig
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.fields.timed_hash import TimedHash, TimedHashConfig
from nerf_plugins.fields.warps.displacement import DisplacementConfig
from nerf_plugins.fields.warps.screw import ScrewConfig
from nerf_plugins.rays import Points

TABLE = HashEncodingConfig(n_levels=4, base_resolution=8, max_resolution=64, log2_table_size=12)
HASH = NeRFHashConfig(encoding=TABLE, precision="fp32")
MLP = NeRFMLPConfig(D=2, W=32, skips=(), precision="fp32")
NETWORK = {"D": 2, "W": 16, "skips": (), "precision": "fp32"}


def points(n: int = 60) -> Points:
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(n, 3, generator=generator) - 0.5
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    return Points(positions, directions=directions, times=torch.rand(n, generator=generator))


def deformed(canonical=HASH, warp=None, dataset: Dataset | None = None) -> DeformedField:
    torch.manual_seed(0)
    warp = DisplacementConfig(**NETWORK) if warp is None else warp
    field = DeformedFieldConfig(warp=warp, canonical=canonical).setup(dataset=dataset or Dataset())
    torch.nn.init.normal_(field.warp.network.head.weight, std=0.1)
    if canonical is HASH:
        torch.nn.init.normal_(field.canonical.encoding.table)
    return field


@pytest.mark.parametrize("canonical", [HASH, MLP], ids=["hash", "mlp"])
@pytest.mark.parametrize("warp", [DisplacementConfig(**NETWORK), ScrewConfig(**NETWORK)], ids=["shift", "screw"])
def test_it_is_the_canonical_field_at_the_warped_points(canonical, warp):
    field, asked = deformed(canonical, warp), points()
    moved = asked._replace(positions=field.warp(asked))
    assert (moved.positions - asked.positions).norm(dim=1).mean() > 1e-2
    for mine, its in zip(field(asked), field.canonical(moved)):
        torch.testing.assert_close(mine, its)
    torch.testing.assert_close(field.density(asked), field(asked)[0])
    assert field.needs == {"times"}


@pytest.mark.parametrize("canonical", [HASH, MLP], ids=["hash", "mlp"])
def test_the_warp_is_trained_through_the_canonical_field(canonical):
    field = deformed(canonical)
    sigmas, rgbs = field(points())
    (sigmas.sum() + rgbs.sum()).backward()
    for parameter in field.warp.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()


def test_groups_and_parts_are_whole():
    field = deformed()
    groups, parts = field.param_groups(), field.parts()
    assert set(groups) == {"warp", "fields"}
    assert set(parts) == {"warp", "geometry", "color"}
    every = {id(parameter) for parameter in field.parameters()}
    for owner in (groups, parts):
        listed = [id(parameter) for parameters in owner.values() for parameter in parameters]
        assert len(listed) == len(set(listed))
        assert set(listed) == every
    assert {id(p) for p in groups["warp"]} == {id(p) for p in field.warp.parameters()}


def test_progress_reaches_both():
    canonical = NeRFHashConfig(encoding=HashEncodingConfig(n_levels=4, log2_table_size=10, start_levels=1))
    warp = DisplacementConfig(**NETWORK)
    warp.position.share = 1.0
    field = deformed(canonical, warp)
    field.set_progress(0.0)
    assert field.canonical.encoding.n_active_levels == 1
    assert not field.warp.network.position.windows.any()
    field.set_progress(1.0)
    assert field.canonical.encoding.n_active_levels == 4
    assert (field.warp.network.position.windows == 1).all()


def test_losses_of_the_canonical_field_are_at_the_warped_points():
    field, asked = deformed(MLP), points()
    assert field.losses(asked, torch.ones(60)) == {}
    seen = []

    class Regular(type(field.canonical)):
        def losses(self, points, weights):
            seen.append(points.positions)
            return {"its": weights.sum()}

    field.canonical.__class__ = Regular
    assert field.losses(asked, torch.ones(60)) == {"its": torch.tensor(60.0)}
    torch.testing.assert_close(seen[0], field.warp(asked))


def test_fields_of_cones_are_refused(monkeypatch):
    monkeypatch.setattr(RadianceField, "needs", frozenset({"scales"}))
    with pytest.raises(InputError, match="cones of pixels \\(scales\\)"):
        deformed()


@pytest.mark.parametrize("config", [DeformedFieldConfig(canonical=HASH), TimedHashConfig(encoding=TABLE)])
def test_photos_of_one_time_are_refused(config):
    with pytest.raises(InputError, match=r"all 3 photos have the time 0\.5"):
        config.setup(dataset=Dataset(3, torch.full((3,), 0.5)))


def test_a_moving_ball_is_found():
    """A ball of radius 0.4 goes from x = -0.4 to 0.4; red. The field is asked at times that it was not shown."""
    torch.manual_seed(0)
    field = deformed(warp=DisplacementConfig(**NETWORK | {"W": 32}))
    torch.nn.init.uniform_(field.warp.network.head.weight, -1e-4, 1e-4)
    torch.nn.init.uniform_(field.canonical.encoding.table, -1e-4, 1e-4)
    groups = field.param_groups()
    optimizer = torch.optim.Adam([{"params": groups["fields"]}, {"params": groups["warp"], "lr": 3e-3}], lr=1e-2)

    def ball(times: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        centres = torch.stack([0.8 * times - 0.4, 0 * times, 0 * times], dim=-1)
        return (positions - centres).norm(dim=-1) < 0.4

    for _ in range(300):
        positions, times = torch.rand(2048, 3) * 2 - 1, torch.randint(0, 6, (2048,)) / 5
        opacity = 1 - torch.exp(-0.1 * field.density(Points(positions, times=times)))
        loss = (opacity - 0.9 * ball(times, positions)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    positions, times = torch.rand(4096, 3) * 2 - 1, torch.rand(4096)
    found = field.density(Points(positions, times=times)) > 5
    inside = ball(times, positions)
    assert (found & inside).sum() / (found | inside).sum() > 0.75


def timed() -> TimedHash:
    torch.manual_seed(0)
    field = TimedHash(TimedHashConfig(encoding=TABLE, precision="fp32"))
    torch.nn.init.normal_(field.encoding.table)
    return field


def test_the_baseline_depends_on_the_time():
    field, asked = timed(), points()
    sigmas, rgbs = field(asked)
    torch.testing.assert_close(field.density(asked), sigmas)
    later = field(asked._replace(times=asked.times + 0.1))
    assert (later[0] - sigmas).abs().max() > 1e-3
    assert (later[1] - rgbs).abs().max() > 1e-4
    assert field.needs == {"times"}


def test_the_baseline_trains_every_parameter():
    field = timed()
    sigmas, rgbs = field(points())
    (sigmas.sum() + rgbs.sum()).backward()
    assert all(parameter.grad.any() for parameter in field.parameters())
