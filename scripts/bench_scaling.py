#!/usr/bin/env python3
"""Measures how time and memory grow on this machine's device: with rays, samples, image size and grid resolution.

Methods are first trained for some steps on the demo scene, so that grid and densities are those of training. A training step is
nerfstudio's, with data and optimiser. Times are medians. Memory is the peak beyond what is held anyway (model, optimiser, images): of
CUDA's tensors, or of the process on Linux.

    python scripts/bench_scaling.py --output-dir results
"""

from __future__ import annotations

import copy
import ctypes
import dataclasses
import gc
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from bench_march import Options as MarchOptions
from bench_march import make_problem
from bench_report import device_name
from bench_train import TINY_SCENE, Run, allow_missing_lpips, synchronize
from bench_train import Options as TrainOptions
from rich.console import Console

from nerf_plugins.files.tables import markdown_table, update_csv
from nerf_plugins.ops import empty_blocks, march_grid

console = Console(width=160)


@dataclass
class Sizes:
    """What is measured. None: what suits the device."""

    rays: tuple[int, ...] | None = None
    """Rays of a training batch; longer steps keep its samples at those of the second option's middle."""
    samples: tuple[int, ...] | None = None
    """Samples of a training batch; the number of rays follows them."""
    images: tuple[int, ...] | None = None
    """Width and height of a rendered view in pixels."""
    grids: tuple[int, ...] | None = None
    """Cells along each side of the grid that is marched."""


CPU = Sizes((256, 512, 1024, 2048, 4096), (2048, 4096, 8192, 16384, 32768), (50, 100, 200, 400), (32, 64, 128, 256))
CUDA = Sizes(
    (2048, 4096, 8192, 16384, 32768),
    (1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 19),
    (100, 200, 400, 800),
    (32, 64, 128, 256),
)
SMOKE = Sizes((64, 128), (4096, 8192), (8, 16), (8, 16))


@dataclass
class Options:
    """Scaling."""

    methods: tuple[str, ...] = ("vanilla-nerf-custom", "nerf-hash-custom")
    """Methods that march an occupancy grid."""
    sizes: Sizes = dataclasses.field(default_factory=Sizes)
    """What is measured."""
    train_steps: int = 300
    """Training steps before anything is measured: more than the grid's warm-up."""
    repeats: int = 7
    """Timed calls of each measurement, of which there are fewer where they take long."""
    output_dir: Path | None = None
    """Folder for scaling.csv, scaling.md and scaling.png; must not exist."""
    smoke: bool = False
    """A few small sizes on a tiny scene: does everything run?"""


@dataclass
class Row:
    """One measurement."""

    panel: str
    """What grows: rays, samples, images or grids."""
    series: str
    """A method, or a part of the march."""
    x: int
    ms: float
    mib: float
    """Peak memory beyond what was held before."""
    rays: int
    samples: int
    """On all rays; 0 where nobody counts."""


AXES = {
    "rays": ("rays of a batch of equally many samples", "ms a training step"),
    "samples": ("samples of a batch", "ms a training step"),
    "images": ("width and height of a view, pixels", "ms a view"),
    "grids": ("cells along each side of the grid", "ms"),
}


class PeakMemory:
    """Peak memory in MiB beyond what is held when this is made: of CUDA's tensors, or of this process."""

    def __init__(self) -> None:
        self.before = self._reset()

    def _reset(self) -> float:
        """Gives back what is free and forgets the peak.

        Returns:
            What is held now; nan where nobody knows.
        """
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            return torch.cuda.memory_allocated() / 2**20
        try:
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except (OSError, AttributeError):
            return math.nan
        return self._resident("VmRSS")

    @staticmethod
    def _resident(name: str) -> float:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(name + ":"))

    def of(self, run: Callable[[], float]) -> tuple[float, float]:
        """What this gives, and the peak while it runs."""
        unknown = math.isnan(self._reset())
        result = run()
        if torch.cuda.is_available():
            return result, torch.cuda.max_memory_allocated() / 2**20 - self.before
        return result, math.nan if unknown else self._resident("VmHWM") - self.before


def median_ms(run: Callable[[], object], repeats: int, longest: float = 4.0) -> float:
    """Median time of a call after one to warm up; only that one where the calls would take longer than some seconds together."""
    times: list[float] = []
    while len(times) <= repeats and sum(times) < longest:
        start = time.perf_counter()
        run()
        synchronize()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[1:] or times))


class Method:
    """A method that has been trained for some steps; what it is asked to do is measured.

    Args:
        name: nerfstudio's name of it.
        options: of the benchmark.
    """

    def __init__(self, name: str, options: Options) -> None:
        self.name, self.options = name, options
        self.run = Run(
            TrainOptions(dataparser="demo-data", dataparser_options=TINY_SCENE if options.smoke else ()), name
        )
        self.pipeline = self.run.pipeline
        self.sampler = self.pipeline.model.sampler
        if not hasattr(self.sampler, "march"):
            raise SystemExit(f"--methods {name}: its sampler marches no occupancy grid")
        for _ in range(options.train_steps):
            self.run.step()
        self.sampler.set_step(10**9)  # the march's step is that after the warm-up
        self.base_steps = self.sampler.config.steps_per_diagonal
        self.samples_per_ray = self._samples_per_ray()
        self.memory = PeakMemory()

    def _samples_per_ray(self) -> float:
        rays, samples = self.run.rays, float(self.run.samples)
        for _ in range(3):
            self.run.trainer.train_iteration(self.run.steps)
        return (float(self.run.samples) - samples) / (self.run.rays - rays)

    def train_step(self, panel: str, x: int, n_rays: int, samples: int) -> Row:
        """A training step with so many rays; about so many samples decide how long the march's steps are and how much room there is."""
        config = self.sampler.config
        config.steps_per_diagonal = max(1, round(self.base_steps * samples / (n_rays * self.samples_per_ray)))
        config.budget.samples_per_batch = samples
        self.pipeline.datamanager.train_pixel_sampler.set_num_rays_per_batch(n_rays)
        self.pipeline.train()

        def step() -> None:
            self.run.trainer.train_iteration(self.run.steps)
            self.run.steps += 1

        before, n_calls = float(self.run.samples), self.run.steps
        ms, mib = self.memory.of(lambda: median_ms(step, self.options.repeats))
        counted = (float(self.run.samples) - before) / (self.run.steps - n_calls)
        config.steps_per_diagonal = self.base_steps
        return Row(panel, self.name, x, ms, mib, n_rays, round(counted))

    @torch.no_grad()
    def view(self, size: int) -> Row:
        """A held-out view of this size."""
        cameras = self.pipeline.datamanager.eval_dataset.cameras
        camera = copy.deepcopy(cameras[0:1]).to(self.pipeline.device)
        camera.rescale_output_resolution(size / int(camera.height))
        model = self.pipeline.model.eval()
        shape: list[torch.Size] = []

        def render() -> None:
            shape.append(model.get_outputs_for_camera(camera)["rgb"].shape)

        ms, mib = self.memory.of(lambda: median_ms(render, self.options.repeats))
        assert shape[0][:2] == (size, size)
        return Row("images", self.name, size, ms, mib, size * size, 0)


def measure_method(name: str, options: Options, sizes: Sizes) -> list[Row]:
    """Training steps over rays and over samples, and views."""
    assert sizes.rays is not None
    assert sizes.samples is not None
    assert sizes.images is not None
    method = Method(name, options)
    middle = sizes.samples[len(sizes.samples) // 2]
    rows = [method.train_step("rays", n, n, middle) for n in sizes.rays]
    rays = [max(2, 2 * round(samples / method.samples_per_ray / 2)) for samples in sizes.samples]
    rows += [method.train_step("samples", samples, n, samples) for samples, n in zip(sizes.samples, rays)]
    return rows + [method.view(size) for size in sizes.images]


def measure_march(options: Options, sizes: Sizes) -> list[Row]:
    """Marching the demo scene's own grid, and what is made anew whenever a grid changes."""
    assert sizes.grids is not None
    measure_grid(8, options, PeakMemory())  # loads the kernels
    memory = PeakMemory()
    return [row for resolution in sizes.grids for row in measure_grid(resolution, options, memory)]


def measure_grid(resolution: int, options: Options, memory: PeakMemory) -> list[Row]:
    """One grid, with all it takes to march it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    n_rays = 64 if options.smoke else 65536 if device.type == "cuda" else 8192
    problem = make_problem(MarchOptions(rays=n_rays, resolution=resolution), device)
    tensors = (problem.origins, problem.directions, problem.nears, problem.fars, problem.occupancy, problem.aabb)
    blocks = empty_blocks(problem.occupancy)

    def march() -> int:
        return len(march_grid(*tensors, empty_blocks=blocks, step_size=0.005).t_starts)

    def row(series: str, run: Callable[[], object]) -> Row:
        ms, mib = memory.of(lambda: median_ms(run, options.repeats))
        return Row("grids", series, resolution, ms, mib, n_rays, march())

    renew = row("empty blocks, when the grid changes", lambda: empty_blocks(problem.occupancy))
    return [row("march", march), renew]


def tables(rows: list[Row]) -> list[str]:
    """A markdown table for each panel, and how much what grows."""
    parts = []
    for panel, (x_label, y_label) in AXES.items():
        lines = [
            [r.series, f"{r.x}", f"{r.ms:.2f}", f"{r.mib:.0f}", f"{r.rays}", f"{r.samples or '-'}"]
            for r in rows
            if r.panel == panel
        ]
        parts.append(markdown_table([["", x_label, y_label, "peak MiB", "rays", "samples"], *lines]))
        parts += [growth(series) for series in by_series(rows, panel).values()]
    return parts


def growth(series: list[Row]) -> str:
    """The last measurement over the first; memory only where the first run grew it."""
    first, last = series[0], series[-1]
    line = (
        f"{first.series}, {first.x} to {last.x}, {last.x / first.x:.0f} times: {last.ms / first.ms:.1f} times the time"
    )
    return f"{line}, {last.mib / first.mib:.1f} times the memory." if first.mib > 0 else f"{line}."


def by_series(rows: list[Row], panel: str) -> dict[str, list[Row]]:
    """A panel's measurements by series, in order."""
    names = dict.fromkeys(row.series for row in rows if row.panel == panel)
    return {name: [row for row in rows if row.panel == panel and row.series == name] for name in names}


def plot(rows: list[Row], title: str, path: Path) -> None:
    """Four panels: time (full lines, left) and peak memory (dashed, right)."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for axes, (panel, (x_label, y_label)) in zip(panels.flat, AXES.items()):
        memory = axes.twinx()
        for i, (name, series) in enumerate(by_series(rows, panel).items()):
            x, style = [row.x for row in series], {"color": f"C{i}", "marker": "o"}
            axes.plot(x, [row.ms for row in series], label=name, **style)
            memory.plot(x, [row.mib for row in series], linestyle="--", alpha=0.6, **style)
        axes.set_xscale("log", base=2)
        axes.set_xticks([row.x for row in next(iter(by_series(rows, panel).values()))])
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set(xlabel=x_label, ylabel=y_label, yscale="log")
        axes.margins(y=0.35)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        highest = max((row.mib for row in rows if row.panel == panel and row.mib > 0), default=1.0)
        memory.set(ylabel="peak MiB (dashed)", ylim=(0, 1.35 * highest))
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left")
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def write(rows: list[Row], title: str, text: str, folder: Path) -> None:
    """CSV, markdown and picture."""
    folder.mkdir(parents=True)
    (folder / "scaling.md").write_text(text + "\n", encoding="utf-8")
    columns = [f.name for f in dataclasses.fields(Row)]
    update_csv(folder / "scaling.csv", columns, [dataclasses.asdict(row) for row in rows])
    plot(rows, title, folder / "scaling.png")


def choose_sizes(options: Options) -> Sizes:
    """Those asked for; what is left open suits the device."""
    default = SMOKE if options.smoke else CUDA if torch.cuda.is_available() else CPU
    given = {name: value for name, value in dataclasses.asdict(options.sizes).items() if value}
    return dataclasses.replace(default, **given)


def check_methods(names: tuple[str, ...]) -> None:
    """Checks that there are such methods and that they march a grid.

    Raises:
        SystemExit: naming the one that does not.
    """
    from nerfstudio.configs.method_configs import all_methods

    from nerf_plugins.models.volumetric import VolumetricModelConfig

    for name in names:
        config = all_methods.get(name.split("+")[0])
        if config is None:
            raise SystemExit(f"--methods {name}: nerfstudio knows no such method")
        if not isinstance(config.pipeline.model, VolumetricModelConfig):
            raise SystemExit(f"--methods {name}: it marches no occupancy grid; give methods of this package")


def main(options: Options) -> None:
    """Measures, prints and writes."""
    warnings.filterwarnings("ignore")
    if options.output_dir is not None and options.output_dir.exists():
        raise SystemExit(f"--output-dir {options.output_dir} exists and is not overwritten: give another one")
    if options.smoke:
        options = dataclasses.replace(options, train_steps=2, repeats=1)
    title = f"{device_name()}, torch {torch.__version__}, demo scene after {options.train_steps} steps"
    check_methods(options.methods)
    allow_missing_lpips()
    sizes = choose_sizes(options)
    rows = [row for name in options.methods for row in measure_method(name, options, sizes)]
    rows += measure_march(options, sizes)
    text = "\n\n".join([title, *tables(rows)])
    console.print(text, markup=False, soft_wrap=True)
    if options.output_dir is not None:
        write(rows, title, text, options.output_dir)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
