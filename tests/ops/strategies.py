"""Hypothesis strategies: hostile but well-posed inputs."""

import torch
from hypothesis import strategies as st

from .cases import FAR, MarchProblem, Packed, pack


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    """Finite float32 numbers."""
    return st.floats(low, high, width=32, allow_nan=False, allow_subnormal=False)


@st.composite
def grids(draw, max_levels: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """An occupancy grid of 1 to 4 levels and its box, both of any proportions."""
    low = torch.tensor([draw(floats(-4, 4)) for _ in range(3)])
    size = torch.tensor([draw(floats(0.25, 4)) for _ in range(3)])
    shape = [draw(st.integers(1, max_levels)), *(draw(st.integers(1, 9)) for _ in range(3))]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    density = draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
    return torch.rand(shape, generator=generator) < density, torch.stack([low, low + size])


@st.composite
def directions(draw) -> torch.Tensor:
    """Any direction and length; components are often a zero of either sign, but never almost zero."""
    component = st.one_of(st.sampled_from([0.0, -0.0, 1.0, -1.0]), floats(0.0625, 1), floats(-1, -0.0625))
    d = torch.tensor(draw(st.tuples(component, component, component).filter(any)))
    return d / d.norm() * draw(st.sampled_from([0.25, 1.0, 1.7, 3.0]))


@st.composite
def march_problems(draw, max_rays: int = 5, cone: bool | None = None) -> MarchProblem:
    """Rays that start outside, inside, on faces and corners, and hit or miss."""
    occupancy, aabb = draw(grids())
    n_levels = occupancy.shape[0]
    centre, half = aabb.mean(0), (aabb[1] - aabb[0]) / 2 * 2 ** (n_levels - 1)
    n_rays = draw(st.integers(1, max_rays))
    place = st.one_of(floats(-2.5, 2.5), st.sampled_from([-1.0, 0.0, 1.0]))
    origins = torch.stack([centre + half * torch.tensor([draw(place) for _ in range(3)]) for _ in range(n_rays)])
    rays = {
        "origins": origins,
        "directions": torch.stack([draw(directions()) for _ in range(n_rays)]),
        "nears": torch.tensor([draw(st.one_of(st.just(0.0), floats(0, 8))) for _ in range(n_rays)]),
        "fars": torch.tensor([draw(st.one_of(st.just(FAR), floats(0, 50))) for _ in range(n_rays)]),
        "jitter": draw(
            st.none() | st.lists(floats(0, 0.998046875), min_size=n_rays, max_size=n_rays).map(torch.tensor)
        ),
    }
    step_size = float(half.norm()) * 2 / draw(st.integers(2, 60))
    steps = {"step_size": step_size}
    if cone or (cone is None and draw(st.booleans())):
        steps["cone_angle"] = draw(st.sampled_from([1 / 256, 0.01, 0.1, 0.5]))
        steps["max_step_size"] = step_size * draw(st.sampled_from([1.0, 3.0, float("inf")]))
    return MarchProblem(rays, occupancy, aabb, steps)


SIGMAS = st.one_of(st.sampled_from([0.0, 1e-12, 1e-6, 1e3, 1e10]), floats(0, 50))


@st.composite
def packed_samples(draw, max_rays: int = 5, max_count: int = 12) -> Packed:
    """Rays of 0 to 12 ascending intervals, with extreme sigmas, gaps and intervals of very different lengths."""
    counts = draw(st.lists(st.integers(0, max_count), min_size=1, max_size=max_rays))
    n_samples = sum(counts)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    sigmas = torch.tensor([draw(SIGMAS) for _ in range(n_samples)])
    t_starts, t_ends = [torch.zeros(0)], [torch.zeros(0)]
    for count in counts:
        lengths = 10 ** (torch.rand(2 * count, generator=generator) * 3 - 3)
        lengths[1::2] *= torch.rand(count, generator=generator) < 0.5  # often no gap
        edges = draw(st.sampled_from([0.0, 0.05, 2.0])) + torch.cat([torch.zeros(1), lengths]).cumsum(0)
        t_starts.append(edges[0:-1:2])
        t_ends.append(edges[1::2])
    rgbs = torch.rand(n_samples, 3, generator=generator)
    return Packed(sigmas, rgbs, torch.cat(t_starts), torch.cat(t_ends), pack(counts))
