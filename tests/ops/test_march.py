"""Marching: cases by hand, every lattice interval of random problems, capacity, and bad input."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nerf_plugins.ops import PackedSamples, empty_blocks, march_grid

from . import reference
from .cases import FAR, MARCH_CASES, random_march_problem
from .strategies import march_problems


def march(problem, **changes) -> PackedSamples:
    return march_grid(**{**problem.arguments(), **problem.steps, **changes})


def check(problem, samples=None) -> float:
    samples = march(problem) if samples is None else samples
    return reference.assert_same_samples(samples, **problem.arguments(), **problem.steps)


def edges(samples, rays=slice(None)) -> list:
    """The (t_starts, t_ends) of each ray."""
    return [
        torch.stack([samples.t_starts[start : start + count], samples.t_ends[start : start + count]])
        for start, count in samples.packed_info[rays].tolist()
    ]


def assert_equal_edges(a: list, b: list) -> None:
    assert len(a) == len(b)
    for mine, other in zip(a, b, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)


# --- By hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", MARCH_CASES, ids=lambda case: case.name)
def test_by_hand(case):
    samples = march_grid(**case.tensors(), jitter=torch.tensor([case.jitter]), **case.steps)
    expected = torch.tensor(case.edges, dtype=torch.float32).reshape(-1, 2)
    torch.testing.assert_close(torch.stack([samples.t_starts, samples.t_ends], dim=-1), expected)
    assert samples.ray_indices.tolist() == [0] * len(case.edges)
    assert samples.packed_info[:, 1].tolist() == [len(case.edges)]


@pytest.mark.parametrize("case", [case for case in MARCH_CASES if case.jitter == 0], ids=lambda case: case.name)
def test_no_jitter_is_jitter_zero(case):
    zero = march_grid(**case.tensors(), jitter=torch.zeros(1), **case.steps)
    assert_equal_edges(edges(march_grid(**case.tensors(), **case.steps)), edges(zero))


def test_rays_are_packed_in_order():
    shots = [case for case in MARCH_CASES if case.occupied is None and case.steps == {"step_size": 0.5}]
    tensors = [case.tensors() for case in shots]
    rays = {name: torch.cat([one[name] for one in tensors]) for name in ("origins", "directions", "nears", "fars")}
    jitter = torch.tensor([case.jitter for case in shots])
    fixed = {name: tensors[0][name] for name in ("occupancy", "aabb")}
    samples = march_grid(**rays, **fixed, step_size=0.5, jitter=jitter)
    counts = [len(case.edges) for case in shots]
    assert samples.packed_info[:, 1].tolist() == counts
    assert samples.ray_indices.tolist() == [ray for ray, count in enumerate(counts) for _ in range(count)]
    starts = [sum(counts[:ray]) for ray in range(len(counts))]
    assert [s for s, c in samples.packed_info.tolist() if c] == [s for s, c in zip(starts, counts, strict=True) if c]
    torch.testing.assert_close(samples.t_starts, torch.tensor([e[0] for case in shots for e in case.edges]).float())


def test_types(generator):
    samples = march(random_march_problem(generator, 10))
    assert isinstance(samples, PackedSamples)
    assert samples.ray_indices.dtype == samples.packed_info.dtype == samples.n_dropped_rays.dtype == torch.int32
    assert samples.t_starts.dtype == samples.t_ends.dtype == torch.float32
    n_samples = int(samples.packed_info[:, 1].sum())
    assert samples.ray_indices.shape == samples.t_starts.shape == samples.t_ends.shape == (n_samples,)
    assert samples.packed_info.shape == (10, 2)
    assert samples.n_dropped_rays.shape == ()
    assert samples.n_dropped_rays.item() == 0


# --- Against the reference -------------------------------------------------------------------------------------------


@given(march_problems(cone=False))
def test_matches_the_reference(problem):
    check(problem)


@given(march_problems(cone=True))
def test_matches_the_reference_with_a_cone(problem):
    check(problem)


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("cone_angle", [0.0, 0.02])
def test_many_rays_match_the_reference(generator, levels, cone_angle):
    problem = random_march_problem(
        generator, 60, levels=levels, resolution=(16, 5, 9), n_steps=40, density=0.2, cone_angle=cone_angle
    )
    assert check(problem) < 0.03


@pytest.mark.parametrize("resolution", [(1, 1, 1), (64, 1, 1), (1, 3, 40), (2, 2, 2), (33, 32, 31)])
def test_any_resolution_matches_the_reference(generator, resolution):
    check(random_march_problem(generator, 20, levels=2, resolution=resolution, density=0.1))


def test_long_gaps_do_not_lose_the_lattice(generator):
    """Few occupied cells, fine steps: after a long walk through empty cells the edges are still the lattice's."""
    problem = random_march_problem(generator, 12, levels=3, resolution=(32, 32, 32), density=0.01, n_steps=600)
    check(problem)


# --- Empty blocks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8, 8), (2, 5, 16, 3), (1, 1, 1, 70), (3, 33, 12, 7)])
@pytest.mark.parametrize("density", [0.0, 0.002, 0.1, 1.0])
def test_empty_blocks_are_the_largest_aligned_ones(generator, shape, density):
    occupancy = torch.rand(shape, generator=generator) < density
    found = empty_blocks(occupancy)
    for cell in torch.randint(2**30, (40, 4), generator=generator).remainder(torch.tensor(shape)).tolist():
        level, *index = cell
        largest = 0
        while largest < 5:
            side = 2 ** (largest + 1)
            block = (level, *(slice(i // side * side, i // side * side + side) for i in index))
            if occupancy[block].any():
                break
            largest += 1
        assert found[tuple(cell)] == largest
    assert found[occupancy].eq(0).all()


@given(st.one_of(march_problems(cone=False), march_problems(cone=True)))
def test_empty_blocks_change_no_sample(problem):
    plain, jumping = march(problem), march(problem, empty_blocks=empty_blocks(problem.occupancy))
    assert all(torch.equal(a, b) for a, b in zip(plain, jumping, strict=True))


@pytest.mark.parametrize("density", [0.0005, 0.01])
@pytest.mark.parametrize("cone_angle", [0.0, 0.02])
def test_jumping_over_empty_blocks_matches_the_reference(generator, cone_angle, density):
    problem = random_march_problem(
        generator, 60, levels=3, resolution=(48, 30, 33), n_steps=300, density=density, cone_angle=cone_angle
    )
    check(problem, march(problem, empty_blocks=empty_blocks(problem.occupancy)))


@pytest.mark.usefixtures("without_type_checker")
def test_empty_blocks_must_fit_the_grid(generator):
    problem = random_march_problem(generator, 3)
    with pytest.raises(ValueError, match="empty_blocks"):
        march(problem, empty_blocks=torch.zeros(1, 2, 2, 3, dtype=torch.uint8))
    with pytest.raises(TypeError, match="empty_blocks"):
        march(problem, empty_blocks=problem.occupancy)


# --- Against the grid ------------------------------------------------------------------------------------------------


def test_every_midpoint_lies_in_an_occupied_cell(generator):
    problem = random_march_problem(generator, 200, levels=3, resolution=(8, 6, 7), n_steps=60)
    samples = march(problem)
    midpoints = ((samples.t_starts + samples.t_ends) / 2).double()
    ray_indices = samples.ray_indices.long()
    points = problem.rays["origins"][ray_indices] + midpoints[:, None] * problem.rays["directions"][ray_indices]
    occupied, near_face = reference.look_up(points, problem.occupancy, problem.aabb, slack=10.0)
    assert len(points) > 500
    assert (occupied | near_face).all()
    assert near_face.float().mean() < 0.03


@pytest.mark.parametrize("cone_angle", [0.0, 0.02])
def test_no_interval_in_an_occupied_cell_is_missed(generator, cone_angle):
    """The samples are exactly those of the full grid's lattice whose cell is occupied: bit for bit the same edges."""
    problem = random_march_problem(
        generator, 100, levels=3, resolution=(8, 6, 7), n_steps=60, density=0.2, cone_angle=cone_angle
    )
    samples = march(problem)
    everything = march(problem, occupancy=torch.ones_like(problem.occupancy))
    for ray, (mine, full) in enumerate(zip(edges(samples), edges(everything), strict=True)):
        points = problem.rays["origins"][ray] + full.double().mean(0)[:, None] * problem.rays["directions"][ray]
        occupied, near_face = reference.look_up(points, problem.occupancy, problem.aabb, slack=10.0)
        found = torch.isin(full[0], mine[0])
        assert int(found.sum()) == mine.shape[1], f"ray {ray} has edges that the full grid does not have"
        torch.testing.assert_close(full[:, found], mine, rtol=0, atol=0)
        assert (found[~near_face] == occupied[~near_face]).all(), f"ray {ray}"


def test_without_a_cone_edges_are_products(generator):
    problem = random_march_problem(generator, 30, n_steps=1000, density=1.0)
    for ray in edges(march(problem)):
        if ray.shape[1]:
            expected = ray[0, 0].double() + torch.arange(ray.shape[1]).double() * problem.steps["step_size"]
            torch.testing.assert_close(ray[0].double(), expected, rtol=5e-7, atol=1e-7)


def test_neighbouring_intervals_share_an_edge(generator):
    for cone_angle in (0.0, 0.01):
        problem = random_march_problem(generator, 20, density=1.0, cone_angle=cone_angle)
        for ray in edges(march(problem)):
            torch.testing.assert_close(ray[1, :-1], ray[0, 1:], rtol=0, atol=0)


# --- Rays that are hard to march -------------------------------------------------------------------------------------


def cube(**changes) -> dict:
    """One ray through the full box [-1, 1]."""
    arguments = {
        "origins": torch.tensor([[-3.0, 0.3, 0.2]]),
        "directions": torch.tensor([[1.0, 0.0, 0.0]]),
        "nears": torch.zeros(1),
        "fars": torch.full((1,), FAR),
        "occupancy": torch.ones(1, 4, 4, 4, dtype=torch.bool),
        "aabb": torch.tensor([[-1.0, -1, -1], [1, 1, 1]]),
        "step_size": 0.1,
    }
    return {**arguments, **changes}


@pytest.mark.parametrize("tiny", [1e-8, -1e-8, 1e-20, -1e-30, 1e-38, 1e-42, -1e-42])
def test_almost_parallel_rays_march_like_parallel_ones(tiny):
    parallel = march_grid(**cube())
    almost = march_grid(**cube(directions=torch.tensor([[1.0, tiny, -tiny]])))
    assert len(parallel.t_starts) == 20
    assert_equal_edges(edges(almost), edges(parallel))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_axis_parallel_rays(axis, sign, zero):
    directions, origins = torch.full((1, 3), zero), torch.full((1, 3), 0.3)
    directions[0, axis], origins[0, axis] = sign, -3 * sign
    assert len(march_grid(**cube(origins=origins, directions=directions)).t_starts) == 20
    origins[0, (axis + 1) % 3] = 1.1
    assert len(march_grid(**cube(origins=origins, directions=directions)).t_starts) == 0


def test_touching_a_corner_gives_at_most_a_touch():
    samples = march_grid(
        **cube(origins=torch.tensor([[-3.0, 1.0, 1.0]]), directions=torch.tensor([[1.0, 1.0, 1.0]]), step_size=0.01)
    )
    assert len(samples.t_starts) == 0
    corner = march_grid(
        **cube(origins=torch.tensor([[0.0, 2.0, 0.0]]), directions=torch.tensor([[1.0, -1.0, 0.0]]), step_size=0.01)
    )
    assert len(corner.t_starts) <= 1


RAY_ARGUMENTS = ("origins", "directions", "nears", "fars")


def three_rays(name, bad) -> dict:
    """Three rays through the cube, the middle one with one bad number."""
    rays = {key: value.repeat(3, *[1] * (value.dim() - 1)) for key, value in cube().items() if key in RAY_ARGUMENTS}
    rays[name].view(3, -1)[1, -1] = bad
    return cube(**rays)


NOT_FINITE = [(name, bad) for name in RAY_ARGUMENTS for bad in (math.nan, math.inf, -math.inf)]
NOT_FINITE.remove(("fars", math.inf))


@pytest.mark.parametrize(("name", "bad"), NOT_FINITE)
def test_rays_that_are_not_finite_have_no_samples(name, bad):
    assert march_grid(**three_rays(name, bad)).packed_info[:, 1].tolist() == [20, 0, 20]


def test_a_ray_without_end_is_a_ray():
    assert march_grid(**three_rays("fars", math.inf)).packed_info[:, 1].tolist() == [20, 20, 20]


def test_jitter_that_is_not_finite_gives_no_samples():
    samples = march_grid(**cube(jitter=torch.tensor([math.nan])))
    assert len(samples.t_starts) == 0


def test_zero_direction_outside_the_box_has_no_samples():
    samples = march_grid(**cube(directions=torch.zeros(1, 3)))
    assert len(samples.t_starts) == 0


def test_near_equal_to_far_far_away_is_quick():
    n_rays = 1000
    far_away = torch.full((n_rays,), FAR)
    inside = torch.zeros(n_rays, 3)
    samples = march_grid(
        **cube(origins=inside, directions=torch.ones(n_rays, 3), nears=far_away, fars=far_away.clone(), step_size=1e-4)
    )
    assert len(samples.t_starts) == 0
    assert samples.packed_info[:, 1].sum() == 0


def test_a_far_origin_keeps_the_midpoints_in_the_box():
    samples = march_grid(**cube(origins=torch.tensor([[-1e4, 0.3, 0.2]])))
    assert 18 <= len(samples.t_starts) <= 22
    middles = (samples.t_starts + samples.t_ends) / 2 - 1e4
    assert (middles.abs() <= 1 + 2e-3).all()


def test_max_step_size_limits_a_wide_cone():
    samples = march_grid(**cube(cone_angle=10.0, max_step_size=0.1, step_size=0.01))
    torch.testing.assert_close(samples.t_ends - samples.t_starts, torch.full((20,), 0.1), rtol=1e-4, atol=1e-5)


# --- Nothing to do ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [None, 0, 7])
def test_no_rays(capacity):
    nothing = {"origins": torch.zeros(0, 3), "directions": torch.zeros(0, 3)}
    samples = march_grid(**cube(**nothing, nears=torch.zeros(0), fars=torch.zeros(0), capacity=capacity))
    assert samples.packed_info.shape == (0, 2)
    assert samples.t_starts.shape == samples.t_ends.shape == samples.ray_indices.shape == (capacity or 0,)
    assert samples.n_dropped_rays.item() == 0
    assert not samples.t_ends.any()


@pytest.mark.parametrize("capacity", [None, 0, 7])
@pytest.mark.parametrize("levels", [1, 4])
def test_empty_grid(capacity, levels):
    samples = march_grid(**cube(occupancy=torch.zeros(levels, 4, 4, 4, dtype=torch.bool), capacity=capacity))
    assert samples.packed_info[:, 1].tolist() == [0]
    assert samples.t_starts.shape == (capacity or 0,)
    assert samples.n_dropped_rays.item() == 0


# --- Capacity --------------------------------------------------------------------------------------------------------


@given(march_problems(), st.integers(0, 120))
def test_capacity(problem, capacity):
    exact = march(problem)
    samples = march(problem, capacity=capacity)
    counts = exact.packed_info[:, 1].tolist()
    starts = [sum(counts[:ray]) for ray in range(len(counts))]
    fits = [start + count <= capacity for start, count in zip(starts, counts, strict=True)]
    expected = [count if fit else 0 for count, fit in zip(counts, fits, strict=True)]
    assert samples.packed_info[:, 1].tolist() == expected
    assert samples.n_dropped_rays.item() == sum(not fit and n > 0 for fit, n in zip(fits, counts, strict=True))

    total = sum(expected)
    assert len(samples.t_starts) == len(samples.t_ends) == len(samples.ray_indices) == capacity
    for mine, all_samples in zip(samples[:3], exact[:3], strict=True):
        torch.testing.assert_close(mine[:total], all_samples[:total], rtol=0, atol=0)
        assert not mine[total:].any(), "padding must be zero"
    kept = [(start, count) for start, count in samples.packed_info.tolist() if count]
    assert kept == [(s, c) for s, c in zip(starts, expected, strict=True) if c]


def test_later_smaller_rays_do_not_take_the_place_of_a_dropped_one():
    # 4, 4, 2 and 0 samples; the second ray does not fit into 7, and the third would begin at 8.
    origins = torch.tensor([[-3.0, 0.5, 0.5], [-3, 0.5, 0.5], [0.1, 0.5, 0.5], [-3, 5, 5]])
    rays = {"origins": origins, "directions": torch.tensor([[1.0, 0, 0]]).repeat(4, 1)}
    ray_range = {"nears": torch.zeros(4), "fars": torch.full((4,), FAR)}
    samples = march_grid(**cube(**rays, **ray_range, step_size=0.5, capacity=7))
    assert samples.packed_info[:, 1].tolist() == [4, 0, 0, 0]
    assert samples.n_dropped_rays.item() == 2
    assert samples.t_ends.tolist() == [2.5, 3.0, 3.5, 4.0, 0.0, 0.0, 0.0]


def test_capacity_of_exactly_the_total_drops_nothing(generator):
    problem = random_march_problem(generator, 30)
    exact = march(problem)
    total = len(exact.t_starts)
    for name, value in exact._asdict().items():
        torch.testing.assert_close(getattr(march(problem, capacity=total), name), value, rtol=0, atol=0)
    assert march(problem, capacity=total - 1).n_dropped_rays.item() == 1


def test_padding_is_cleared_when_memory_is_reused(generator):
    problem = random_march_problem(generator, 30)
    capacity = len(march(problem).t_starts) + 1000
    for _ in range(20):
        garbage = [torch.full((capacity,), 7.0) for _ in range(8)] + [torch.full((capacity,), 7, dtype=torch.int32)] * 4
        del garbage
        samples = march(problem, capacity=capacity)
        for value in samples[:3]:
            assert not value[capacity - 1000 :].any()


@given(march_problems(), st.integers(0, 30))
def test_max_samples_per_ray_keeps_the_first(problem, limit):
    every, first = march(problem), march(problem, max_samples_per_ray=max(limit, 1))
    assert_equal_edges(edges(first), [ray[:, : max(limit, 1)] for ray in edges(every)])


def test_max_samples_per_ray_counts_before_capacity():
    both = cube(
        origins=torch.tensor([[-3.0, 0.3, 0.2]] * 3),
        directions=torch.tensor([[1.0, 0, 0]] * 3),
        nears=torch.zeros(3),
        fars=torch.full((3,), FAR),
    )
    samples = march_grid(**both, max_samples_per_ray=5, capacity=12)
    assert samples.packed_info[:, 1].tolist() == [5, 5, 0]
    assert samples.n_dropped_rays.item() == 1


# --- Invariances -----------------------------------------------------------------------------------------------------


@given(march_problems(max_rays=6), st.randoms(use_true_random=False))
def test_permuting_rays_permutes_samples(problem, random):
    order = list(range(len(problem.rays["origins"])))
    random.shuffle(order)
    permuted = {name: None if value is None else value[order] for name, value in problem.rays.items()}
    mine = edges(march(problem))
    assert_equal_edges(edges(march(problem, **permuted)), [mine[ray] for ray in order])


@given(march_problems(), st.sampled_from([0.25, 2.0, 16.0]))
def test_scaling_the_scene_scales_t(problem, scale):
    """Powers of two are exact in float32, so not even a close call may change."""
    scaled = {name: problem.rays[name] * scale for name in ("origins", "nears", "fars")}
    steps = {name: problem.steps[name] * scale for name in ("step_size", "max_step_size") if name in problem.steps}
    samples = march(problem, **scaled, aabb=problem.aabb * scale, **steps)
    assert_equal_edges(edges(samples), [ray * scale for ray in edges(march(problem))])


@given(march_problems(), st.sampled_from([0.25, 2.0, 16.0]))
def test_t_is_in_units_of_the_directions_length(problem, scale):
    scaled = {"directions": problem.rays["directions"] * scale}
    scaled.update({name: problem.rays[name] / scale for name in ("nears", "fars")})
    steps = {name: problem.steps[name] / scale for name in ("step_size", "max_step_size") if name in problem.steps}
    samples = march(problem, **scaled, **steps)
    assert_equal_edges(edges(samples), [ray / scale for ray in edges(march(problem))])


@given(march_problems(), st.permutations([0, 1, 2]))
def test_axes_are_alike(problem, axes):
    rays = {name: problem.rays[name][:, axes] for name in ("origins", "directions")}
    occupancy = problem.occupancy.permute(0, *(axis + 1 for axis in axes))
    samples = march(problem, **rays, occupancy=occupancy, aabb=problem.aabb[:, axes])
    assert_equal_edges(edges(samples), edges(march(problem)))


def test_a_coarser_cascade_of_full_cells_extends_the_lattice(generator):
    """With t_enter fixed by near, the samples of one full level are those of two full levels inside the first."""
    problem = random_march_problem(generator, 20, density=1.0)
    inside = {"origins": problem.aabb.mean(0).repeat(20, 1), "nears": torch.zeros(20), "fars": torch.full((20,), FAR)}
    one = edges(march(problem, **inside))
    two = edges(march(problem, **inside, occupancy=problem.occupancy.repeat(2, 1, 1, 1)))
    assert_equal_edges(one, [outer[:, : inner.shape[1]] for inner, outer in zip(one, two, strict=True)])
    assert all(outer.shape[1] > inner.shape[1] for inner, outer in zip(one, two, strict=True))


# --- Determinism, memory layout --------------------------------------------------------------------------------------


def test_many_rays_march_like_few(generator):
    """However a launch is split over threads, each ray's samples are its own."""
    problem = random_march_problem(generator, 5000, levels=2, density=0.1)
    together = march(problem)
    again = march(problem)
    for a, b in zip(together, again, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    for some in (slice(0, 7), slice(2490, 2515), slice(4999, 5000)):
        alone = march(problem, **{name: value[some] for name, value in problem.rays.items()})
        assert_equal_edges(edges(alone), edges(together, some))
    counts = together.packed_info[:, 1]
    assert (together.packed_info[:, 0] == counts.cumsum(0) - counts)[counts > 0].all()
    assert (together.ray_indices == torch.repeat_interleave(torch.arange(5000), counts)).all()


def test_tensors_that_are_not_contiguous(generator):
    problem = random_march_problem(generator, 20, levels=2, resolution=(4, 6, 5))
    strided = {name: torch.stack([value, value + 1], dim=1)[:, 0] for name, value in problem.rays.items()}
    strided["origins"] = problem.rays["origins"].T.contiguous().T
    strided["nears"] = problem.rays["nears"][:1].expand(20)
    problem.rays["nears"] = strided["nears"].clone()
    occupancy = problem.occupancy.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    aabb = problem.aabb.T.contiguous().T
    assert not any(value.is_contiguous() for value in [*strided.values(), occupancy, aabb])
    samples = march(problem, **strided, occupancy=occupancy, aabb=aabb)
    assert_equal_edges(edges(samples), edges(march(problem)))


def test_inputs_are_left_alone(generator):
    problem = random_march_problem(generator, 20)
    before = {name: value.clone() for name, value in problem.arguments().items()}
    march(problem, capacity=50)
    for name, value in problem.arguments().items():
        assert torch.equal(value, before[name]), name


def test_rays_that_require_grad_give_samples_that_do_not(generator):
    problem = random_march_problem(generator, 5)
    samples = march(problem, origins=problem.rays["origins"].requires_grad_())
    assert not samples.t_starts.requires_grad
    assert not samples.t_ends.requires_grad


# --- Bad input -------------------------------------------------------------------------------------------------------

BAD_DTYPES = {
    "origins": torch.float64,
    "directions": torch.float16,
    "nears": torch.int32,
    "fars": torch.float64,
    "occupancy": torch.uint8,
    "aabb": torch.float64,
    "jitter": torch.float64,
}


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(("name", "dtype"), BAD_DTYPES.items())
def test_wrong_dtype(name, dtype):
    arguments = cube(jitter=torch.zeros(1))
    with pytest.raises(TypeError, match=rf"(?s){name}.*{str(dtype).removeprefix('torch.')}"):
        march_grid(**{**arguments, name: arguments[name].to(dtype)})


BAD_SHAPES = [
    ("origins", (1, 2)),
    ("origins", (3,)),
    ("directions", (2, 3)),
    ("directions", (1, 4)),
    ("nears", (2,)),
    ("nears", (1, 1)),
    ("fars", ()),
    ("fars", (2,)),
    ("occupancy", (4, 4, 4)),
    ("occupancy", (1, 1, 4, 4, 4)),
    ("occupancy", (0, 4, 4, 4)),
    ("occupancy", (1, 0, 4, 4)),
    ("aabb", (6,)),
    ("aabb", (3, 2)),
    ("jitter", (2,)),
    ("jitter", (1, 1)),
]


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(("name", "shape"), BAD_SHAPES)
def test_wrong_shape(name, shape):
    bad = torch.zeros(shape, dtype=torch.bool if name == "occupancy" else torch.float32)
    with pytest.raises(ValueError, match=name) as error:
        march_grid(**cube(**{name: bad}))
    assert str(list(shape))[1:-1] in str(error.value), "the message shows the shape"


BAD_VALUES = [
    ("step_size", 0.0, "0"),
    ("step_size", -0.5, "-0.5"),
    ("step_size", math.nan, "nan"),
    ("step_size", math.inf, "inf"),
    ("cone_angle", -0.25, "-0.25"),
    ("cone_angle", math.nan, "nan"),
    ("max_step_size", math.nan, "nan"),
    ("max_step_size", -1.0, "-1"),
    ("capacity", -1, "-1"),
    ("max_samples_per_ray", -3, "-3"),
]


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(("name", "value", "seen"), BAD_VALUES)
def test_wrong_value(name, value, seen):
    with pytest.raises(ValueError, match=rf"(?s){name}.*{seen}"):
        march_grid(**cube(**{name: value}))


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    "aabb", [[[1.0, -1, -1], [1, 1, 1]], [[-1.0, 1, -1], [1, -1, 1]], [[-1.0, -1, math.nan], [1, 1, 1]]]
)
def test_wrong_box(aabb):
    with pytest.raises(ValueError, match="aabb"):
        march_grid(**cube(aabb=torch.tensor(aabb)))


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize("name", ["directions", "nears", "fars", "occupancy", "aabb", "jitter"])
def test_wrong_device(name):
    arguments = cube(jitter=torch.zeros(1))
    with pytest.raises(ValueError, match=rf"(?s){name}.*meta"):
        march_grid(**{**arguments, name: arguments[name].to("meta")})
