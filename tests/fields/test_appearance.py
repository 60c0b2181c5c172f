import dataclasses

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.appearance import AppearanceConfig, kind_of, make_appearance, settle_appearance
from nerf_plugins.fields.base import NO_DATASET, Dataset
from nerf_plugins.fields.deformed import DeformedFieldConfig
from nerf_plugins.fields.dvgo import DVGOConfig
from nerf_plugins.fields.encodings import HashEncodingConfig, KPlanesEncodingConfig, TensorEncodingConfig
from nerf_plugins.fields.k_planes import KPlanesConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.fields.neus_hash import NeuSHashConfig
from nerf_plugins.fields.neus_mlp import NeuSMLPConfig
from nerf_plugins.fields.sdf import SDFField
from nerf_plugins.fields.tensorf import TensoRFConfig
from nerf_plugins.fields.voxels import VoxelGridConfig
from nerf_plugins.rays import NOTHING, Points

TENSOR = TensorEncodingConfig(n_features=4, start_resolution=6, resolution=6)
ENCODING = HashEncodingConfig(n_levels=4, log2_table_size=8)
FIELDS = {
    "nerf hash": NeRFHashConfig(encoding=ENCODING),
    "nerf mlp": NeRFMLPConfig(D=2, W=32, skips=()),
    "deformed": DeformedFieldConfig(canonical=NeRFHashConfig(encoding=ENCODING)),
    "tensorf": TensoRFConfig(density_tensor=TENSOR, appearance_tensor=TENSOR),
    "dvgo": DVGOConfig(voxels=VoxelGridConfig(resolutions=(6,))),
    "k-planes": KPlanesConfig(encoding=KPlanesEncodingConfig(n_features=4, start_resolution=4, resolution=4)),
    "neus hash": NeuSHashConfig(encoding=ENCODING),
    "neus mlp": NeuSMLPConfig(D=2, W=64, skips=(), color_layers=1, color_width=32),
}
KINDS = ["codes", "affine"]


def make_field(name: str, kind: str, n_images: int = 5):
    """A field with codes that differ, and its codes' parameter."""
    torch.manual_seed(0)
    config, appearance = FIELDS[name], AppearanceConfig(kind=kind, width=3)  # type: ignore[arg-type]
    if isinstance(config, DeformedFieldConfig):
        config = dataclasses.replace(config, canonical=dataclasses.replace(config.canonical, appearance=appearance))  # type: ignore[type-var]
    else:
        config = dataclasses.replace(config, appearance=appearance)
    field = config.setup(dataset=Dataset(n_images))
    owner = getattr(field, "canonical", field)
    if kind != "none":
        torch.nn.init.normal_(owner.appearance.codes.weight)
    return field, owner.appearance


def make_points(photos: list[int] | None) -> Points:
    """Seven points on three rays."""
    generator = torch.Generator().manual_seed(1)
    positions = 2.0 * torch.rand(7, 3, generator=generator) - 1.0
    directions = torch.nn.functional.normalize(torch.randn(3, 3, generator=generator), dim=-1)
    indices = None if photos is None else torch.tensor(photos)
    return Points(positions, torch.tensor([0, 0, 1, 1, 2, 2, 2]), directions, torch.zeros(3), indices)


def geometry_and_color(field, points: Points) -> tuple[list[torch.Tensor], torch.Tensor]:
    """All that belongs to density or distance, and the colours."""
    if isinstance(field, SDFField):
        geometry = field.geometry(points)
        return [field.sdf(points), geometry.sdf, geometry.gradients], field.color(points, geometry)
    sigmas, colors = field(points)
    return [field.density(points), sigmas], colors


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FIELDS)
def test_only_the_colour_knows_the_photo(name: str, kind: str):
    field, appearance = make_field(name, kind)
    weight = appearance.codes.weight
    assert "camera_indices" in field.needs
    seen = [geometry_and_color(field, make_points(photos)) for photos in ([0, 3, 4], [1, 1, 2], None)]
    for geometry, color in seen:
        for value, first in zip(geometry, seen[0][0]):
            assert torch.equal(value, first)
            assert torch.autograd.grad(value.sum(), weight, allow_unused=True, retain_graph=True)[0] is None
        assert torch.autograd.grad(color.sum(), weight, retain_graph=True)[0].abs().sum() > 0
    (grad,) = torch.autograd.grad(seen[0][1].sum(), weight)
    assert (grad.abs().sum(1) > 0).tolist() == [True, False, False, True, True]
    assert (seen[0][1] - seen[1][1]).abs().max() > 1e-3
    assert any(weight is p for p in field.parts()["color"])


@pytest.mark.parametrize("name", FIELDS)
def test_without_codes_nothing_is_asked_for_and_affine_starts_as_nothing(name: str):
    points = make_points(None)
    field, _ = make_field(name, "none")
    assert "camera_indices" not in field.needs
    plain = geometry_and_color(field, points)[1]
    affine, appearance = make_field(name, "affine")
    affine.load_state_dict(field.state_dict(), strict=False)
    torch.nn.init.zeros_(appearance.codes.weight)
    torch.testing.assert_close(geometry_and_color(affine, points)[1], plain)


def test_an_affine_matrix_by_hand():
    appearance = make_appearance(AppearanceConfig(kind="affine"), Dataset(2))
    with torch.no_grad():  # red becomes 1.5 red + 0.25 blue - 0.125 in the second photo
        appearance.codes.weight[1, :3] = torch.tensor([0.5, 0.0, 0.25])  # type: ignore[union-attr]
        appearance.codes.weight[1, 9] = -0.125  # type: ignore[union-attr]
    points = Points(torch.zeros(2, 3), camera_indices=torch.tensor([0, 1]))
    colors = torch.tensor([[0.5, 0.25, 0.5], [0.5, 0.25, 0.5]])
    assert appearance.adjusted(colors, points).tolist() == [[0.5, 0.25, 0.5], [0.75, 0.25, 0.5]]


@pytest.mark.parametrize(("spread", "kind"), [(0.34, "none"), (0.36, "codes"), (None, "none"), ("unknown", "none")])
def test_auto_goes_by_what_the_photos_show(spread, kind: str):
    metadata = {} if spread == "unknown" else {"exposure_spread": spread}
    assert AppearanceConfig().settled(Dataset(5, None, metadata)).kind == kind
    assert AppearanceConfig(kind="affine").settled(Dataset(5, None, metadata)).kind == "affine"


@pytest.mark.parametrize("kind", KINDS)
def test_one_photo_is_not_told_apart(kind: str):
    with pytest.raises(InputError, match=f"kind {kind} tells photos apart, and there are 1 to train on: use none"):
        make_appearance(AppearanceConfig(kind=kind), Dataset(1))  # type: ignore[arg-type]
    assert make_appearance(AppearanceConfig(), NO_DATASET).needs == NOTHING


def test_a_width_of_nothing_is_refused():
    with pytest.raises(InputError, match="appearance: width must be >= 1, got 0"):
        AppearanceConfig(width=0)


def test_what_was_left_open_is_settled_wherever_it_is_and_no_more():
    config = DeformedFieldConfig(canonical=NeRFHashConfig())
    assert settle_appearance(config, "codes") == ["canonical.appearance.kind"]
    assert config.canonical.appearance == AppearanceConfig(kind="codes")  # type: ignore[attr-defined]
    assert NeRFHashConfig().appearance.kind == "auto"
    assert settle_appearance(config, "none") == []
    assert config.canonical.appearance.kind == "codes"  # type: ignore[attr-defined]
    assert settle_appearance(None, "none") == []
    assert settle_appearance(NeRFHashConfig(), "none") == ["appearance.kind"]


@pytest.mark.parametrize("kind", ["none", *KINDS])
def test_the_kind_of_a_model_is_that_of_its_field(kind: str):
    assert kind_of(make_field("deformed", kind)[0]) == kind
