"""Hash encoding: layout and values by hand, float64 reference with its first and second derivatives, masks, threads, and bad input."""

from itertools import pairwise

import pytest
import torch

from nerf_plugins.ops import HashLevels, hash_encode, hash_encode_backward, hash_levels
from nerf_plugins.ops.hash_encoding import _Call

from . import hash_reference

HALVES = [torch.float16, torch.bfloat16]
DTYPES = [
    (torch.float16, torch.float16),
    (torch.bfloat16, torch.bfloat16),
    (torch.float16, torch.float32),
    (torch.float16, torch.bfloat16),
    (torch.float32, torch.bfloat16),
]
"""What the table is read in, and what the features have."""
SHAPE = (4, 4, 32, 10)
"""Levels, base and finest resolution, log2 of the table's size: 4^3 and 8^3 vertices are dense, 16^3 and 32^3 are hashed."""


def random_problem(
    generator, n: int, n_features: int, shape: tuple = SHAPE
) -> tuple[torch.Tensor, torch.Tensor, HashLevels]:
    levels = hash_levels(*shape)
    table = torch.randn(int(levels.offsets[-1]), n_features, generator=generator)
    return torch.rand(n, 3, generator=generator), table, levels


def assert_close(mine: torch.Tensor, expected: torch.Tensor) -> None:
    """To the rounding of sums of float32 numbers of this size."""
    scale = float(expected.detach().abs().max())
    torch.testing.assert_close(mine.double(), expected, rtol=1e-4, atol=2e-5 * scale)


def leaves(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


# Layout and values by hand


def test_levels_by_hand():
    levels = hash_levels(*SHAPE)
    assert levels.scales.tolist() == [3.0, 7.0, 15.0, 31.0]
    assert levels.resolutions.tolist() == [4, 8, 0, 0]
    assert levels.offsets.tolist() == [0, 64, 576, 1600, 2624]


def test_a_level_that_fits_exactly_is_dense():
    assert hash_levels(1, 8, 8, 9).resolutions.tolist() == [8]
    assert hash_levels(1, 9, 9, 9).resolutions.tolist() == [0]
    assert hash_levels(1, 9, 9, 10).offsets.tolist() == [0, 736]  # 729 vertices, rounded up to a multiple of 8


def test_a_dense_level_reproduces_a_linear_function(generator):
    """Interpolating v_x + 10 v_y + 100 v_z at the vertices v gives the same at p = 7 x + 1/2."""
    levels = hash_levels(1, 8, 8, 9)
    v = torch.arange(8.0)
    table = (v + 10 * v[:, None] + 100 * v[:, None, None]).reshape(-1, 1)
    positions = torch.rand(200, 3, generator=generator) * 6.5 / 7  # past it, the far corners are those of the next row
    expected = (7 * positions + 0.5) @ torch.tensor([1.0, 10.0, 100.0])
    torch.testing.assert_close(hash_encode(positions, table, levels)[:, 0], expected, rtol=1e-5, atol=1e-4)


def test_a_vertex_of_a_hashed_level_by_hand():
    # Vertex (5, 3, 7): 5 ^ (3 * 2654435761) ^ (7 * 805459861) = 5 ^ 7963307283 ^ 5638219027; their lowest ten bits are 5, 275, 275.
    assert [value & 1023 for value in (5, 3 * 2654435761, 7 * 805459861)] == [5, 275, 275]
    levels = hash_levels(1, 16, 16, 10)
    table = torch.zeros(1024, 2)
    table[5] = torch.tensor([3.0, -2.0])
    position = (torch.tensor([[5.0, 3.0, 7.0]]) - 0.5) / 15
    torch.testing.assert_close(hash_encode(position, table, levels), torch.tensor([[3.0, -2.0]]))


def test_smoothstep_by_hand():
    # A quarter of the way from vertex 1 to vertex 2: 3/16 - 2/64 = 5/32.
    levels = hash_levels(1, 8, 8, 9)
    table = torch.arange(8.0).repeat(64)[:, None]
    position = torch.tensor([[1.25, 3.0, 4.0]]).sub(0.5) / 7
    assert hash_encode(position, table, levels).item() == pytest.approx(1.25, abs=1e-5)
    assert hash_encode(position, table, levels, smoothstep=True).item() == pytest.approx(1 + 5 / 32, abs=1e-5)


def test_features_are_level_by_level(generator):
    positions, table, levels = random_problem(generator, 10, 2)
    table[: levels.offsets[1], 1] = 7.0
    table[levels.offsets[2] : levels.offsets[3]] = 5.0
    features = hash_encode(positions, table, levels)
    torch.testing.assert_close(features[:, 1], torch.full((10,), 7.0))
    torch.testing.assert_close(features[:, 4:6], torch.full((10, 2), 5.0))


# The reference, and its derivatives


@pytest.mark.parametrize("smoothstep", [False, True])
@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
def test_matches_the_reference_to_second_order(generator, n_features, smoothstep):
    positions, table, levels = random_problem(generator, 150, n_features)
    width = 4 * n_features
    grad, along = torch.randn(150, width, generator=generator), torch.randn(150, 3, generator=generator)

    x, theta, g = leaves(positions.double(), table.double(), grad.double())
    expected = hash_reference.encode(x, theta, *SHAPE, smoothstep=smoothstep)
    expected_x, expected_theta = torch.autograd.grad(expected, (x, theta), g, create_graph=True)
    seconds = torch.autograd.grad(expected_x, (x, theta, g), along.double())

    mine_x, mine_theta, mine_g = leaves(positions, table, grad)
    mine = hash_encode(mine_x, mine_theta, levels, smoothstep=smoothstep)
    grad_x, grad_theta = torch.autograd.grad(mine, (mine_x, mine_theta), mine_g, create_graph=True)
    mine_seconds = torch.autograd.grad(grad_x, (mine_x, mine_theta, mine_g), along)

    assert_close(mine, expected)
    assert_close(grad_x, expected_x)
    assert_close(grad_theta, expected_theta)
    for got, wanted in zip(mine_seconds, seconds, strict=True):
        assert_close(got, wanted)


def test_the_tables_gradient_is_differentiable_too(generator):
    positions, table, levels = random_problem(generator, 50, 2)
    grad, cotangent = torch.randn(50, 8, generator=generator), torch.randn(table.shape, generator=generator)

    def mixed(encode, positions, table, grad, cotangent):
        x, theta, g = leaves(positions, table, grad)
        (of_table,) = torch.autograd.grad(encode(x, theta), theta, g, create_graph=True)
        return torch.autograd.grad(of_table, (x, g), cotangent)

    mine = mixed(lambda x, t: hash_encode(x, t, levels), positions, table, grad, cotangent)
    doubles = [tensor.double() for tensor in (positions, table, grad, cotangent)]
    expected = mixed(lambda x, t: hash_reference.encode(x, t, *SHAPE), *doubles)
    for got, wanted in zip(mine, expected, strict=True):
        assert_close(got, wanted)


def test_second_derivatives_against_finite_differences(generator):
    """Without autograd's word for it: the position gradient of a shifted position, table and grad."""
    positions, table, levels = random_problem(generator, 100, 2)
    grad, along = torch.randn(100, 8, generator=generator), torch.randn(100, 3, generator=generator)
    arguments = leaves(positions, table, grad)

    def product(x: torch.Tensor, theta: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return (hash_encode_backward(x, theta, g, levels, smoothstep=True) * along).sum(-1)

    exact = torch.autograd.grad(product(*arguments).sum(), arguments)
    directions = [torch.randn(tensor.shape, generator=generator) for tensor in arguments]
    steps = (1e-4, 1e-2, 1e-2)  # a small part of the finest cell; in table and grad the function is linear
    for k, (step, direction) in enumerate(zip(steps, directions, strict=True)):
        shifted = [
            [a.detach() + (sign * step * direction if i == k else 0) for i, a in enumerate(arguments)]
            for sign in (1, -1)
        ]
        numeric = ((product(*shifted[0]) - product(*shifted[1])) / (2 * step)).double()
        analytic = (exact[k] * direction).double()
        analytic = analytic.sum(-1) if k != 1 else analytic.sum()
        numeric = numeric if k != 1 else numeric.sum()
        error = (numeric - analytic).abs() / analytic.abs().max()
        # A shift may carry a position into another cell, where the second derivative jumps.
        assert torch.quantile(error.reshape(-1), 0.8) < 0.02, f"argument {k}"


def test_backward_is_the_gradient_of_the_features(generator):
    positions, table, levels = random_problem(generator, 80, 2)
    grad = torch.randn(80, 8, generator=generator)
    (x,) = leaves(positions)
    (expected,) = torch.autograd.grad(hash_encode(x, table, levels, n_active_levels=3), x, grad)
    assert torch.equal(hash_encode_backward(positions, table, grad, levels, n_active_levels=3), expected)


@pytest.mark.parametrize("value", [-0.1, 1.1, -1e30, float("inf")])
def test_outside_is_clamped_and_has_no_gradient(generator, value):
    positions, table, levels = random_problem(generator, 20, 2)
    positions[:, 1] = value
    (x,) = leaves(positions)
    features = hash_encode(x, table, levels, smoothstep=True)
    assert torch.equal(features, hash_encode(positions.clamp(0, 1), table, levels, smoothstep=True))
    (grad,) = torch.autograd.grad(features.square().sum(), x)
    assert not grad[:, 1].any()
    assert (grad[:, 0] != 0).all()


@pytest.mark.parametrize("smoothstep", [False, True])
def test_the_faces_belong_to_the_cube(generator, smoothstep):
    positions, table, levels = random_problem(generator, 60, 2)
    positions[:20, 0], positions[20:40, 1], positions[40:, 2] = 0.0, 1.0, 1.0
    expected = hash_reference.encode(positions.double(), table.double(), *SHAPE, smoothstep=smoothstep)
    assert_close(hash_encode(positions, table, levels, smoothstep=smoothstep), expected)


def test_no_number_stays_inside_the_table(generator):
    _, table, levels = random_problem(generator, 0, 2)
    features = hash_encode(torch.full((300, 3), float("nan")), table, levels)
    assert torch.equal(features, hash_encode(torch.zeros(300, 3), table, levels))


# Levels that are not active


@pytest.mark.parametrize("n_active", [0, 1, 3, 4])
def test_levels_that_are_not_active_give_nothing_and_learn_nothing(generator, n_active):
    positions, table, levels = random_problem(generator, 40, 2)
    x, theta = leaves(positions, table)
    features = hash_encode(x, theta, levels, n_active_levels=n_active)
    all_features = hash_encode(positions, table, levels)
    assert torch.equal(features[:, : 2 * n_active], all_features[:, : 2 * n_active])
    assert not features[:, 2 * n_active :].any()
    features.sum().backward()
    first_idle = int(levels.offsets[n_active])
    assert not theta.grad[first_idle:].any()
    assert bool(theta.grad[:first_idle].any()) == (n_active > 0)
    assert bool(x.grad.any()) == (n_active > 0)


# Half precision


def assert_rounded(mine: torch.Tensor, expected: torch.Tensor) -> None:
    """As near as rounding to mine's dtype; float32 sums, whose last bits may differ."""
    rounding = torch.finfo(mine.dtype).eps / 2
    torch.testing.assert_close(mine.float(), expected, rtol=1.01 * rounding, atol=1e-5)


@pytest.mark.parametrize(("table_dtype", "features_dtype"), DTYPES)
@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
def test_half_features_are_those_of_the_rounded_table_rounded(generator, n_features, table_dtype, features_dtype):
    positions, table, levels = random_problem(generator, 3000, n_features)
    options = {"n_active_levels": 3, "smoothstep": True}
    features = hash_encode(positions, table, levels, table_dtype=table_dtype, features_dtype=features_dtype, **options)
    expected = hash_encode(positions, table.to(table_dtype).float(), levels, **options)
    assert features.dtype == features_dtype
    assert_rounded(features, expected)
    if features_dtype != torch.float32:  # to nearest: only sums whose last bits differ may fall to the other side
        assert (features != expected.to(features_dtype)).float().mean() < 1e-3


@pytest.mark.parametrize("dtype", HALVES)
def test_zeros_and_what_is_out_of_range_are_rounded_as_by_torch(dtype):
    levels, position = hash_levels(1, 8, 8, 9), torch.full((20, 3), 0.3)
    for value in (0.0, 1e-6, -3e-8, 6.5e4, 3e38, float("inf"), -float("inf"), float("nan")):
        table = torch.full((512, 2), value)
        features = hash_encode(position, table, levels, table_dtype=dtype, features_dtype=dtype)
        expected = hash_encode(position, table.to(dtype).float(), levels).to(dtype)
        torch.testing.assert_close(features, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("smoothstep", [False, True])
@pytest.mark.parametrize(("table_dtype", "features_dtype"), DTYPES)
@pytest.mark.parametrize("n_features", [1, 2, 8])
def test_half_derivatives_are_those_of_the_rounded_table(
    generator, n_features, table_dtype, features_dtype, smoothstep
):
    """To second order, and in float32 throughout but for the gradient that autograd hands in and its own."""
    positions, table, levels = random_problem(generator, 400, n_features)
    grad = torch.randn(400, 4 * n_features, generator=generator).to(features_dtype)
    along = torch.randn(400, 3, generator=generator)

    def derivatives(table: torch.Tensor, grad: torch.Tensor, **dtypes: torch.dtype) -> list[torch.Tensor]:
        x, theta, g = leaves(positions, table, grad)
        features = hash_encode(x, theta, levels, smoothstep=smoothstep, **dtypes)
        of_x, of_table = torch.autograd.grad(features, (x, theta), g, create_graph=True)
        return [of_x, of_table, *torch.autograd.grad(of_x, (x, theta, g), along)]

    half = derivatives(table, grad, table_dtype=table_dtype, features_dtype=features_dtype)
    single = derivatives(table.to(table_dtype).float(), grad.float())
    assert [tensor.dtype for tensor in half] == [torch.float32] * 4 + [features_dtype]
    for got, expected in zip(half[:4], single[:4], strict=True):
        assert_close(got, expected.double())
    assert_rounded(half[4], single[4])


@pytest.mark.parametrize("dtype", HALVES)
def test_half_backward_takes_and_gives_float32(generator, dtype):
    positions, table, levels = random_problem(generator, 300, 2)
    grad, along = torch.randn(300, 8, generator=generator), torch.randn(300, 3, generator=generator)

    def seconds(table: torch.Tensor, table_dtype: torch.dtype) -> list[torch.Tensor]:
        arguments = leaves(positions, table, grad)
        of_x = hash_encode_backward(*arguments, levels, smoothstep=True, table_dtype=table_dtype)
        return [of_x, *torch.autograd.grad(of_x, arguments, along)]

    for got, expected in zip(seconds(table, dtype), seconds(table.to(dtype).float(), torch.float32), strict=True):
        assert got.dtype == torch.float32
        assert_close(got, expected.double())


@pytest.mark.parametrize("dtype", HALVES)
def test_the_tables_gradient_keeps_what_a_half_sum_would_lose(dtype):
    """30,000 samples add 1 to one entry: a sum in half precision stops growing at 2,048 or 256."""
    n, levels = 30_000, hash_levels(*SHAPE)
    theta = torch.zeros(int(levels.offsets[-1]), 2, requires_grad=True)
    hash_encode(torch.full((n, 3), 0.5), theta, levels, table_dtype=dtype, features_dtype=dtype).sum().backward()
    assert theta.grad.dtype == torch.float32
    assert float(theta.grad.max()) == n


@pytest.mark.parametrize("dtype", HALVES)
def test_small_gradients_reach_the_table_through_features_of_float32(generator, dtype):
    positions, table, levels = random_problem(generator, 100, 2)
    (theta,) = leaves(table)
    features = hash_encode(positions, theta, levels, table_dtype=dtype)
    (tiny,) = torch.autograd.grad(1e-9 * features.sum(), theta, retain_graph=True)
    (large,) = torch.autograd.grad(features.sum(), theta)
    torch.testing.assert_close(1e9 * tiny, large, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", HALVES)
def test_half_tables_gradient_is_differentiable_too(generator, dtype):
    positions, table, levels = random_problem(generator, 50, 2)
    grad = torch.randn(50, 8, generator=generator).to(dtype)
    cotangent = torch.randn(table.shape, generator=generator)

    def mixed(grad: torch.Tensor, **dtypes: torch.dtype) -> list[torch.Tensor]:
        x, theta, g = leaves(positions, table, grad)
        (of_table,) = torch.autograd.grad(hash_encode(x, theta, levels, **dtypes), theta, g, create_graph=True)
        return list(torch.autograd.grad(of_table, (x, g), cotangent))

    half, single = mixed(grad, table_dtype=dtype, features_dtype=dtype), mixed(grad.float())
    assert_close(half[0], single[0].double())  # neither reads the table
    assert torch.equal(half[1], single[1].to(dtype))


def test_float32_makes_no_copy_of_the_table(generator, monkeypatch):
    positions, table, levels = random_problem(generator, 10, 2)
    read, encode = [], _Call.encode
    monkeypatch.setattr(
        _Call, "encode", lambda call, x, entries, dtype: read.append(entries) or encode(call, x, entries, dtype)
    )
    hash_encode(positions, table, levels)
    hash_encode(positions, table, levels, table_dtype=torch.float16)
    assert read[0].data_ptr() == table.data_ptr()
    assert read[1].dtype == torch.float16


# Many samples: runs, blocks and threads


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 255, 257, 2000])
def test_a_sample_does_not_depend_on_the_others(generator, n, dtype):
    positions, table, levels = random_problem(generator, 2000, 2)
    grad, along = torch.randn(2000, 8, generator=generator), torch.randn(2000, 3, generator=generator)

    def everything(count: int) -> list[torch.Tensor]:
        x, g = leaves(positions[:count], grad[:count].to(dtype))
        features = hash_encode(x, table, levels, table_dtype=dtype, features_dtype=dtype)
        (of_x,) = torch.autograd.grad(features, x, g, create_graph=True)
        return [features, of_x, *torch.autograd.grad(of_x, (x, g), along[:count])]

    for some, all_of_them in zip(everything(n), everything(2000), strict=True):
        assert torch.equal(some, all_of_them[:n])


@pytest.mark.parametrize("n", [1, 63, 64, 65, 130])
def test_every_sample_adds_to_the_table(generator, n):
    positions, table, levels = random_problem(generator, n, 2)
    grad = torch.randn(n, 8, generator=generator)
    theta, exact = leaves(table, table.double())
    hash_encode(positions, theta, levels).backward(grad)
    hash_reference.encode(positions.double(), exact, *SHAPE).backward(grad.double())
    assert_close(theta.grad, exact.grad)


@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
def test_no_addition_is_lost(generator, n_features):
    """30,000 samples in the cube's centre, which is a vertex of every level: its entry gets 1 from each, and nothing else gets any."""
    n = 30_000
    _, table, levels = random_problem(generator, 0, n_features)
    (theta,) = leaves(table)
    hash_encode(torch.full((n, 3), 0.5), theta, levels).sum().backward()
    for first, end in pairwise(levels.offsets.tolist()):
        touched = theta.grad[first:end].any(-1)
        assert int(touched.sum()) == 1
        assert torch.equal(theta.grad[first:end][touched], torch.full((1, n_features), float(n)))


def test_the_cpu_repeats_itself(generator):
    positions, table, levels = random_problem(generator, 20_000, 2)
    results = []
    for _ in range(3):
        (theta,) = leaves(table)
        hash_encode(positions, theta, levels).square().sum().backward()
        results.append(theta.grad)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_no_samples(generator):
    _, table, levels = random_problem(generator, 0, 2)
    x, theta = leaves(torch.zeros(0, 3), table)
    features = hash_encode(x, theta, levels)
    assert features.shape == (0, 8)
    (grad,) = torch.autograd.grad(features.sum(), x, create_graph=True)
    (grad.sum() + features.sum()).backward()
    assert grad.shape == (0, 3)
    assert not theta.grad.any()


# Bad input


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0, 16, 64, 10), "n_levels"),
        ((4, 1, 64, 10), "base_resolution"),
        ((4, 16, 8, 10), "max_resolution"),
        ((4, 16, 64, 2), "log2_table_size"),
        ((4, 16, 64, 25), "log2_table_size"),
    ],
)
def test_bad_levels_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        hash_levels(*arguments)


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("name", "change", "error"),
    [
        ("positions", lambda x: x.double(), TypeError),
        ("positions", lambda x: x[:, :2], ValueError),
        ("positions", lambda x: x.to("meta"), ValueError),
        ("table", lambda x: x[:-1], ValueError),
        ("table", lambda x: x.half(), TypeError),
        ("table", lambda x: torch.cat([x, x[:, :1]], dim=-1), ValueError),
        ("table_dtype", lambda x: torch.float64, ValueError),
        ("features_dtype", lambda x: "fp16", ValueError),
        ("n_active_levels", lambda x: 5, ValueError),
        ("n_active_levels", lambda x: -1, ValueError),
        ("n_active_levels", lambda x: 1.5, TypeError),
    ],
)
def test_bad_arguments_are_named(generator, name, change, error):
    positions, table, levels = random_problem(generator, 5, 2)
    arguments = {"positions": positions, "table": table, "levels": levels, "n_active_levels": 4}
    arguments |= {"table_dtype": torch.float32, "features_dtype": torch.float32}
    arguments[name] = change(arguments[name])
    with pytest.raises(error, match=name):
        hash_encode(**arguments)


@pytest.mark.usefixtures("without_type_checker")
def test_a_gradient_of_another_width_is_named(generator):
    positions, table, levels = random_problem(generator, 5, 2)
    with pytest.raises(ValueError, match="grad"):
        hash_encode_backward(positions, table, torch.zeros(5, 7), levels)
