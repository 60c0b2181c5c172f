import types

import nerfacc
import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.rays import Rays
from nerf_plugins.samplers.grid_march import GridMarch
from nerf_plugins.samplers.nerfacc_march import march_with_nerfacc
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.spaces import BoxSpace

AABB = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 3.0]])


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_without_a_gpu_it_is_refused_before_training():
    with pytest.raises(InputError, match="marcher 'nerfacc' needs a CUDA device"):
        GridMarch(OccupancySamplerConfig(marcher="nerfacc"), BoxSpace(AABB))


def test_levels_jitter_and_intervals_are_handed_over(monkeypatch: pytest.MonkeyPatch):
    asked = {}

    def traverse_grids(origins, directions, binaries, aabbs, **options):
        asked.update(aabbs=aabbs, **options)
        intervals = types.SimpleNamespace(
            vals=torch.tensor([1.0, 2.0, 3.0]),
            is_left=torch.tensor([True, True, False]),
            is_right=torch.tensor([False, True, True]),
        )
        return intervals, types.SimpleNamespace(
            ray_indices=torch.tensor([0, 0]), packed_info=torch.tensor([[0, 2], [2, 0]])
        )

    monkeypatch.setattr(nerfacc, "traverse_grids", traverse_grids)
    nears, fars = torch.tensor([0.5, 0.5]), torch.tensor([9.0, 9.0])
    rays = Rays(torch.zeros(2, 3), torch.ones(2, 3), nears, fars, torch.ones(2, 3), torch.ones(2), torch.zeros(2))
    occupancy = torch.ones(2, 4, 4, 4, dtype=torch.bool)
    samples = march_with_nerfacc(rays, occupancy, AABB, 0.1, 0.0, torch.tensor([0.0, 0.5]))
    assert asked["aabbs"].tolist() == [[-1, -1, -1, 1, 1, 3], [-2, -2, -3, 2, 2, 5]]
    assert torch.allclose(asked["near_planes"], torch.tensor([0.5, 0.55]))
    assert samples.t_starts.tolist() == [1.0, 2.0]
    assert samples.t_ends.tolist() == [2.0, 3.0]
    assert samples.packed_info.tolist() == [[0, 2], [2, 0]]
