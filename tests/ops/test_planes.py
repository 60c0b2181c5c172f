"""Products of planes and lines: values by hand, torch's grid_sample in float64 with its gradients, edges, threads, and bad input."""

import pytest
import torch
import torch.nn.functional as F

from nerf_plugins.ops import PlaneGroup, PlaneLayout, plane_layout, plane_products, split_planes

PAIRS = ((0, 1), (0, 2), (1, 2))
FORMS = {
    "vm": ([PlaneGroup(PAIRS, (5, 7)), PlaneGroup(((2,), (1,), (0,)), (6,))], [[0, 3], [1, 4], [2, 5]]),
    "cp": ([PlaneGroup(((0,), (1,), (2,)), (9,))], [[0, 1, 2]]),
    "k-planes": ([PlaneGroup(PAIRS, (4, 4)), PlaneGroup(PAIRS, (8, 8))], [[0, 1, 2], [3, 4, 5]]),
    "moving": ([PlaneGroup(PAIRS, (6, 6)), PlaneGroup(((0, 3), (1, 3), (2, 3)), (6, 3))], [[0, 1, 2, 3, 4, 5]]),
}


def reference(x: torch.Tensor, table: torch.Tensor, form: str) -> torch.Tensor:
    """By grid_sample, factor by factor; outside its first and last vertex a plane is that vertex."""
    groups, products = FORMS[form]
    factors = []
    for group, tensors in zip(groups, split_planes(table, plane_layout(groups, products))):
        for axes, tensor in zip(group.axes, tensors):
            image = tensor if len(axes) == 2 else tensor[:, None]
            second = x[:, axes[1]] if len(axes) == 2 else torch.zeros_like(x[:, 0])
            where = torch.stack([second, x[:, axes[0]]], dim=-1)[None, :, None]
            options = {"align_corners": True, "padding_mode": "border"}
            factors.append(F.grid_sample(image.permute(2, 0, 1)[None], where, **options)[0, :, :, 0].T)
    return torch.cat([torch.stack([factors[k] for k in product]).prod(0) for product in products], dim=-1)


def problem(generator, form: str, n: int, n_features: int) -> tuple[torch.Tensor, torch.Tensor, PlaneLayout]:
    layout = plane_layout(*FORMS[form])
    table = torch.randn(layout.n_vertices, n_features, generator=generator)
    return torch.rand(n, layout.n_coordinates, generator=generator) * 2.2 - 1.1, table, layout


def leaves(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


def assert_close(mine: torch.Tensor, expected: torch.Tensor) -> None:
    scale = float(expected.detach().abs().max())
    torch.testing.assert_close(mine.double(), expected, rtol=1e-4, atol=2e-6 * scale)


# Layout and values by hand


def test_the_layout_by_hand():
    layout = plane_layout(*FORMS["vm"])
    assert layout.n_axes == (2, 1)
    assert layout.shapes == ((3, 5, 7), (3, 6))
    assert layout.n_vertices == 3 * 35 + 3 * 6
    assert layout.factors[1].tolist() == [[0, 2, 5, 7, 35], [1, 1, 6, 1, 111]]
    table = torch.arange(123.0)[:, None]
    planes, lines = split_planes(table, layout)
    assert planes[2, 0, 1].item() == 71
    assert lines[2, 5].item() == 122


def test_a_plane_times_a_line_by_hand():
    """A quarter of the way between 0 and 4 along x, at y's last vertex: 1 + 10; half-way between 2 and 6 along z: 4."""
    layout = plane_layout([PlaneGroup(((0, 1),), (2, 2)), PlaneGroup(((2,),), (3,))], [[0, 1]])
    table = torch.tensor([0.0, 10.0, 4.0, 14.0, 2.0, 6.0, 100.0])[:, None]
    x = torch.tensor([[-0.5, 1.0, -0.5]], requires_grad=True)
    value = plane_products(x, table, layout)
    assert value.item() == pytest.approx(11.0 * 4.0)
    (slope,) = torch.autograd.grad(value.sum(), x)
    # Along x 4 in two units; along y 10 in two; along z 4 in one.
    assert slope[0].tolist() == pytest.approx([2.0 * 4.0, 5.0 * 4.0, 4.0 * 11.0])


def test_the_references_planes_are_not_transposed():
    layout_form = FORMS["vm"]
    layout = plane_layout(*layout_form)
    table = torch.ones(layout.n_vertices, 1, dtype=torch.float64)
    planes, _ = split_planes(table, layout)
    planes[0] = torch.linspace(-1, 1, 5)[:, None, None]  # of x alone
    x = torch.tensor([[0.3, -0.8, 0.1]], dtype=torch.float64)
    assert reference(x, table, "vm")[0].tolist() == pytest.approx([0.3, 1.0, 1.0])


# The reference, and its gradients


@pytest.mark.parametrize(("form", "n_features"), [*((form, 16) for form in FORMS), ("vm", 1), ("moving", 12)])
def test_matches_the_reference_and_its_gradients(generator, form, n_features):
    x, table, layout = problem(generator, form, 300, n_features)
    grad = torch.randn(300, len(layout.factors) * n_features, generator=generator)

    wide_x, wide_table = leaves(x.double(), table.double())
    expected = reference(wide_x, wide_table, form)
    expected_x, expected_table = torch.autograd.grad(expected, (wide_x, wide_table), grad.double())

    mine_x, mine_table = leaves(x, table)
    mine = plane_products(mine_x, mine_table, layout)
    grad_x, grad_table = torch.autograd.grad(mine, (mine_x, mine_table), grad)

    assert_close(mine, expected)
    assert_close(grad_table, expected_table)
    assert_close(grad_x, expected_x)


def test_only_what_is_wanted_has_a_gradient(generator):
    x, table, layout = problem(generator, "vm", 10, 16)
    x.requires_grad_()
    plane_products(x, table, layout).sum().backward()
    assert x.grad is not None
    assert table.grad is None


@pytest.mark.parametrize("form", FORMS)
def test_outside_nothing_changes(generator, form):
    x, table, layout = problem(generator, form, 50, 16)
    outside = (2 * torch.randint(0, 2, x.shape, generator=generator) - 1) * (
        1.0 + torch.rand(x.shape, generator=generator)
    )
    outside = outside.float().requires_grad_()
    values = plane_products(outside, table, layout)
    torch.testing.assert_close(values, plane_products(outside.detach().clamp(-1, 1), table, layout))
    (slopes,) = torch.autograd.grad(values.sum(), outside)
    assert not slopes.any()


def test_what_is_no_number_is_the_first_vertex(generator):
    x, table, layout = problem(generator, "moving", 4, 16)
    x[:, 1] = torch.tensor([torch.nan, torch.inf, -torch.inf, -1.0])
    expected = x.clone()
    expected[:, 1] = torch.tensor([-1.0, 1.0, -1.0, -1.0])
    torch.testing.assert_close(plane_products(x, table, layout), plane_products(expected, table, layout))


def test_no_point(generator):
    _, table, layout = problem(generator, "vm", 0, 16)
    x, table = leaves(torch.zeros(0, 3), table)
    values = plane_products(x, table, layout)
    assert values.shape == (0, 48)
    values.sum().backward()
    assert not table.grad.any()
    assert x.grad.shape == (0, 3)


# Threads


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize("form", FORMS)
def test_no_update_is_lost(form):
    """40,000 points on vertices add 1 to each of them; the sums are whole numbers, so their order does not matter."""
    layout = plane_layout(*FORMS[form])
    table = torch.ones(layout.n_vertices, 16, requires_grad=True)
    x = torch.ones(40_000, layout.n_coordinates)
    plane_products(x, table, layout).sum().backward()
    assert table.grad is not None
    n_factors = layout.factors.shape[0] * layout.factors.shape[1]
    assert table.grad[table.grad != 0].tolist() == [40_000.0] * (16 * n_factors)


@pytest.mark.usefixtures("four_threads")
def test_threads_change_nothing(generator):
    x, table, layout = problem(generator, "k-planes", 20_000, 16)
    results = []
    for n_threads in (4, 1):
        torch.set_num_threads(n_threads)
        mine_x, mine_table = leaves(x, table)
        values = plane_products(mine_x, mine_table, layout)
        results.append([values, *torch.autograd.grad(values.square().sum(), (mine_x, mine_table))])
    for four, one in zip(*results, strict=True):
        assert torch.equal(four, one)


# Bad input


def test_a_layout_says_what_it_cannot_be():
    with pytest.raises(ValueError, match="each at least 2"):
        plane_layout([PlaneGroup(((0, 1),), (2, 1))], [[0]])
    with pytest.raises(ValueError, match="axes must be as many as the sizes"):
        plane_layout([PlaneGroup(((0,),), (2, 2))], [[0]])
    with pytest.raises(ValueError, match="same form"):
        plane_layout([PlaneGroup(((0, 1),), (2, 2)), PlaneGroup(((2,),), (2,))], [[0, 1], [1, 0]])
    with pytest.raises(ValueError, match="same form"):
        plane_layout([PlaneGroup(((0, 1),), (2, 2))], [])


@pytest.mark.usefixtures("without_type_checker")
def test_arguments_are_checked(generator):
    x, table, layout = problem(generator, "moving", 4, 16)
    with pytest.raises(TypeError, match=r"positions must be torch\.float32"):
        plane_products(x.double(), table, layout)
    with pytest.raises(ValueError, match=r"table must have shape \(162, n\)"):
        plane_products(x, table[1:], layout)
    with pytest.raises(ValueError, match="positions must have 4 coordinates, got 3"):
        plane_products(x[:, :3], table, layout)
