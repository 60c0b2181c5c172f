"""When a field's passes are recorded; what is recorded is compared on CUDA, in tests/gpu."""

import pytest
import torch
from torch import nn

from nerf_plugins.fields.base import RadianceField
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.graphed import GraphedField
from nerf_plugins.rays import Points


class SaysCuda(torch.Tensor):
    """A tensor on the CPU that says it were on CUDA."""

    is_cuda = True


class LinearField(RadianceField):
    """The smallest field."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def density(self, points: Points) -> torch.Tensor:
        return self(points._replace(ray_indices=None, directions=torch.zeros_like(points.positions)))[0]

    def forward(self, points: Points) -> tuple[torch.Tensor, torch.Tensor]:
        assert points.directions is not None
        result = self.layer(torch.cat([points.positions, points.per_point(points.directions)], dim=-1)).sigmoid()
        return result[:, 0], result[:, 1:]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, ...], bool]]:
    """(shape, requires_grad) of the positions of each recording; the recording itself is the module."""
    calls = []

    def record(module: nn.Module, examples: tuple[torch.Tensor, ...]) -> nn.Module:
        assert not torch.is_autocast_cache_enabled()
        assert all(x.is_leaf for x in examples)
        calls.append((tuple(examples[0].shape), examples[0].requires_grad))
        return module

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    return calls


@pytest.fixture
def graphed() -> GraphedField:
    return GraphedField(LinearField())


def inputs(n: int, cuda: bool = True) -> Points:
    positions, directions = torch.rand(n, 3), nn.functional.normalize(torch.rand(n, 3), dim=-1)
    return Points(positions.as_subclass(SaysCuda) if cuda else positions, directions=directions)


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
def test_a_number_of_samples_is_recorded_once(graphed: GraphedField, recorded: list):
    for n in (8, 8, 16, 16, 8):
        densities, colors = graphed(inputs(n))
        assert densities.shape == (n,)
        assert colors.shape == (n, 3)
    moving = inputs(8)
    graphed(moving._replace(positions=moving.positions.requires_grad_()))
    assert recorded == [((8, 3), False), ((16, 3), False), ((8, 3), False), ((8, 3), True)]


def test_a_parameter_that_has_grown_is_recorded_anew(graphed: GraphedField, recorded: list):
    for n_features in (4, 4, 5):
        graphed.field.features = nn.Parameter(torch.zeros(n_features))
        graphed(inputs(8))
    assert len(recorded) == 2


def test_another_number_of_levels_is_recorded_anew(graphed: GraphedField, recorded: list):
    graphed.field.encoding = HashEncodingConfig(
        n_levels=3, log2_table_size=8, max_resolution=32, start_levels=1
    ).setup()
    for progress in (0.0, 0.1, 0.5, 0.6, 0.9, 1.0):
        graphed.field.set_progress(progress)
        graphed(inputs(8))
    assert len(recorded) == 3


def test_pictures_grids_and_the_cpu_are_not_recorded(graphed: GraphedField, recorded: list):
    graphed(inputs(8, cuda=False))
    with torch.no_grad():
        graphed(inputs(8))
    graphed.field.eval()
    graphed(inputs(8))
    assert recorded == []


def test_gradients_that_accumulate_are_not_replayed_over(graphed: GraphedField, recorded: list):
    densities, _ = graphed.field(inputs(8, cuda=False))
    densities.sum().backward()
    graphed(inputs(8))
    assert recorded == []
    graphed.field.zero_grad()
    graphed(inputs(8))
    assert len(recorded) == 1
