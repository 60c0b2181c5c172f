"""Training in two processes, as `ns-train --machine.num-devices 2` does it, here with gloo on the CPU."""

import copy
import datetime
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch._C._distributed_c10d import FileStore
from torch.multiprocessing.spawn import spawn

from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.engine.trainer import PluginTrainerConfig
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.voxels import VoxelGridConfig
from nerf_plugins.methods import dvgo, nerf_hash, neus_hash
from nerf_plugins.samplers.occupancy_grid import OccupancyGrid, OccupancyGridConfig
from nerf_plugins.samplers.ranks import from_all_ranks, share_of_rank

N_RANKS = 2
STEPS = 20
GRID = OccupancyGridConfig(resolution=12, warmup_steps=8, update_every=4, cells_per_update=500)
AABB = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def tiny(config: PluginTrainerConfig, folder: Path, name: str) -> PluginTrainerConfig:
    """A method's configuration, made small."""
    config = copy.deepcopy(config)
    model: Any = config.pipeline.model
    if hasattr(model.field, "encoding"):
        model.field.encoding = HashEncodingConfig(n_levels=4, log2_table_size=10, max_resolution=32)
    if hasattr(model.field, "voxels"):  # grows twice in the first third of the training
        model.field.voxels = VoxelGridConfig(resolutions=(6, 8, 12))
    occupancy = model.surface if hasattr(model, "surface") else model.occupancy
    occupancy.grid, occupancy.steps_per_diagonal, occupancy.budget.samples_per_batch = GRID, 64, 2048
    datamanager: Any = config.pipeline.datamanager
    datamanager.dataparser = DemoDataParserConfig(
        data=folder / "demo", resolution=16, num_train=4, num_val=1, num_test=2
    )
    datamanager.train_num_rays_per_batch = 128
    config.max_num_iterations, config.steps_per_save = STEPS, STEPS
    config.output_dir, config.experiment_name, config.timestamp = folder, name, "run"
    config.machine.device_type, config.vis = "cpu", "tensorboard"
    return config


def configurations(folder: Path) -> dict[str, PluginTrainerConfig]:
    methods = {"nerf-hash": nerf_hash.method.config, "neus-hash": neus_hash.method.config, "dvgo": dvgo.method.config}
    configs = {}
    for name, config in methods.items():
        assert isinstance(config, PluginTrainerConfig)
        configs[name] = tiny(config, folder, name)
    nerf: Any = nerf_hash.method.config
    neus: Any = neus_hash.method.config
    configs["hierarchical"] = tiny(nerf, folder, "hierarchical")
    configs["hierarchical"].pipeline.model.sampler = "hierarchical"  # type: ignore[attr-defined]
    configs["upsampling"] = tiny(neus, folder, "upsampling")
    configs["upsampling"].pipeline.model.sampler = "upsampling"  # type: ignore[attr-defined]
    return configs


def let_nerfstudio_wrap_cpu_models() -> None:
    """nerfstudio names a GPU where it wraps the model and where the ranks meet; torch refuses both on the CPU."""
    from nerfstudio.pipelines import base_pipeline
    from torch.nn.parallel import DistributedDataParallel

    class OnCPU(DistributedDataParallel):
        def __init__(self, module: torch.nn.Module, device_ids: list[int], find_unused_parameters: bool) -> None:
            super().__init__(module, find_unused_parameters=find_unused_parameters)

    barrier = dist.barrier
    base_pipeline.DDP = OnCPU  # type: ignore[misc]
    base_pipeline.dist.barrier = lambda device_ids=None: barrier()  # type: ignore[assignment]


def train(rank: int, config: PluginTrainerConfig) -> dict[str, Any]:
    """What nerfstudio's ``train_loop`` does in each process."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(config.machine.seed + rank)
    trainer = config.setup(local_rank=rank, world_size=N_RANKS)
    trainer.setup()
    initial = copy.deepcopy(trainer.pipeline.model.state_dict())
    trainer.train()
    # What nerfstudio's wrapper sent is not to be mistaken for what the grid does itself: the last update comes after the last forward.
    for callback in trainer.callbacks:
        callback.run_callback(step=STEPS)
    rays, _ = trainer.pipeline.datamanager.next_train(STEPS)
    background = trainer.pipeline.model.picture_background.fill_(rank)
    trainer.pipeline.get_train_loss_dict(STEPS)
    state = copy.deepcopy(trainer.pipeline.model.state_dict())
    dist.barrier()
    (path,) = config.get_checkpoint_dir().iterdir()
    trainer.pipeline.load_pipeline(torch.load(path)["pipeline"], STEPS - 1)
    return {
        "initial": initial,
        "state": state,
        "resumed": trainer.pipeline.model.state_dict(),
        "origins": rays.origins,
        "background": background,
    }


def visit_cells(rank: int) -> dict[str, Any]:
    """A grid of its own, whose field differs between the ranks."""
    torch.manual_seed(rank)
    grid, visited = OccupancyGrid(GRID, AABB, levels=1), []

    def density(positions: torch.Tensor) -> torch.Tensor:
        visited.append(len(positions))
        return (1.0 + rank) * (positions[:, 0] > 0).float()

    for step in range(GRID.warmup_steps):
        grid.update(step, density, step_size=0.1)
    warmed_up = grid.densities.clone()
    grid.update(GRID.warmup_steps, density, step_size=0.1)
    return {"warmed_up": warmed_up, "densities": grid.densities, "occupied": grid.occupied, "visited": visited}


def gather(rank: int) -> dict[str, Any]:
    """Numbers that are shared out and put together again."""
    numbers = {n: torch.arange(n) for n in (0, 1, 5, 6)}
    return {
        "shares": {n: share_of_rank(values) for n, values in numbers.items()},
        "all": {n: from_all_ranks(share_of_rank(values)) for n, values in numbers.items()},
    }


def run_rank(rank: int, folder: Path, configs: dict[str, PluginTrainerConfig]) -> None:
    """One process: everything that the tests look at, since starting a process takes longest."""
    torch.set_num_threads(1)
    timeout = datetime.timedelta(seconds=120)
    store = FileStore(str(folder / "store"), N_RANKS)
    dist.init_process_group("gloo", store=store, world_size=N_RANKS, rank=rank, timeout=timeout)
    let_nerfstudio_wrap_cpu_models()
    results = {name: train(rank, config) for name, config in configs.items()}
    results |= {"grid": visit_cells(rank), "gather": gather(rank)}
    torch.save(results, folder / f"rank{rank}.pt")
    store.set(f"finished{rank}", "1")
    store.wait([f"finished{other}" for other in range(N_RANKS)])  # gloo fails where the other has gone too early
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributed")
    configs = configurations(folder)
    for config in (
        configs.values()
    ):  # as ns-train does before it starts the processes; where several make it, nerfstudio may fail
        config.get_base_dir().mkdir(parents=True)
    spawn(run_rank, args=(folder, configs), nprocs=N_RANKS)
    return folder


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[dict[str, Any]]:
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(N_RANKS)]


METHODS = ["nerf-hash", "neus-hash", "dvgo", "hierarchical", "upsampling"]


@pytest.mark.parametrize("method", METHODS)
def test_parameters_and_grids_are_equal_on_all_ranks(ranks: list, method: str):
    first, second = (rank[method] for rank in ranks)
    assert not torch.equal(first["origins"], second["origins"])  # each trained on rays of its own
    for name, value in first["state"].items():
        assert torch.equal(value, second["state"][name]), name


def test_a_grid_that_has_grown_is_averaged_too(ranks: list):
    """Its parameters are others than those that the gradients' buckets were made for."""
    initial, state = ranks[0]["dvgo"]["initial"], ranks[0]["dvgo"]["state"]
    assert len(initial["field.voxels.kept"]) == 6
    assert len(state["field.voxels.kept"]) == 12


@pytest.mark.parametrize("method", METHODS)
def test_a_step_sends_no_buffers(ranks: list, method: str):
    for rank, results in enumerate(ranks):
        assert results[method]["background"].tolist() == [rank] * 3


@pytest.mark.parametrize("method", METHODS)
def test_all_of_the_model_learns(ranks: list, method: str):
    initial, state = ranks[0][method]["initial"], ranks[0][method]["state"]
    learns = [name for name in state if name.endswith((".weight", ".bias", "table", "variance"))]
    assert learns
    for name in learns:
        assert not torch.equal(initial[name], state[name]), name


@pytest.mark.parametrize("method", METHODS)
def test_only_one_rank_saves_and_any_process_loads_it(folder: Path, ranks: list, method: str):
    config = configurations(folder)[method]
    (path,) = config.get_checkpoint_dir().iterdir()
    pipeline = config.pipeline.setup(device="cpu")
    pipeline.load_pipeline(torch.load(path)["pipeline"], STEPS - 1)
    for name, value in pipeline.model.state_dict().items():
        if "grid" not in name:  # which was updated once more after training
            assert torch.equal(value, ranks[1][method]["state"][name]), name
        assert torch.equal(value, ranks[1][method]["resumed"][name]), name


def test_ranks_share_the_visits_of_the_warm_up(ranks: list):
    grids = [rank["grid"] for rank in ranks]
    n_cells, n_updates = GRID.resolution**3, GRID.warmup_steps // GRID.update_every
    for grid in grids:
        assert grid["visited"] == [n_cells // n_updates // N_RANKS] * n_updates + [GRID.cells_per_update // N_RANKS]
    # Every cell was visited once, by one of the two.
    right, left = grids[0]["warmed_up"][0, GRID.resolution // 2 :], grids[0]["warmed_up"][0, : GRID.resolution // 2]
    assert set(right.unique().tolist()) == {1.0, 2.0}
    assert (left == 0).all()


def test_ranks_remember_what_all_of_them_found(ranks: list):
    first, second = (rank["grid"] for rank in ranks)
    for name in ("warmed_up", "densities", "occupied"):
        assert torch.equal(first[name], second[name])
    changed = first["densities"] != first["warmed_up"]
    # 1 becomes 1 or 2, 2 becomes 1.8 or 2; what rank 1 alone found is in rank 0's grid.
    assert first["densities"][changed].unique().tolist() == pytest.approx([1.8, 2.0])


def test_shares_by_hand(ranks: list):
    shares = [{n: values.tolist() for n, values in rank["gather"]["shares"].items()} for rank in ranks]
    assert shares[0] == {0: [], 1: [0], 5: [0, 1, 2], 6: [0, 1, 2]}
    assert shares[1] == {0: [], 1: [0], 5: [3, 4, 0], 6: [3, 4, 5]}
    for rank in ranks:
        assert {n: values.tolist() for n, values in rank["gather"]["all"].items()} == {
            0: [],
            1: [0, 0],
            5: [0, 1, 2, 3, 4, 0],
            6: [0, 1, 2, 3, 4, 5],
        }
