"""Grids of voxels: look-ups, their gradients and the total variation against torch, on several threads, and in the form for CUDA."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F

from nerf_plugins.kernels import masked_adam as adam_kernels
from nerf_plugins.kernels import voxel_tv as tv_kernels
from nerf_plugins.kernels import voxels as kernels
from nerf_plugins.kernels.launch import _run, launch
from nerf_plugins.ops import voxel_look_up, voxel_tv

SIZES = (5, 7, 6)
"""Vertices along z, y, x: all different, so that no axis can stand for another."""


def grid(generator: torch.Generator, width: int, share: float = 0.7) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, links) of a grid of which that share of the vertices have rows, in no order."""
    has_row = torch.rand(SIZES, generator=generator) < share
    n = int(has_row.sum())
    links = torch.full(SIZES, -1, dtype=torch.int32)
    links[has_row] = torch.randperm(n, generator=generator, dtype=torch.int32)
    return torch.randn(n, width, generator=generator), links


def dense(rows: torch.Tensor, links: torch.Tensor) -> torch.Tensor:
    """(z, y, x, width): the numbers of all vertices."""
    padded = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])
    return padded[links.long()]


def reference(positions: torch.Tensor, rows: torch.Tensor, links: torch.Tensor) -> torch.Tensor:
    volume = dense(rows, links).permute(3, 0, 1, 2)[None]
    place = positions[None, None, None]
    return F.grid_sample(volume, place, align_corners=True, padding_mode="border")[0, :, 0, 0].T


def reference_tv(rows: torch.Tensor, links: torch.Tensor) -> torch.Tensor:
    """Of each row's numbers."""
    values, exists = dense(rows, links), links >= 0
    squares = torch.full_like(values, 1e-9)
    for axis in range(3):
        n = links.shape[axis]
        both = (exists.narrow(axis, 0, n - 1) & exists.narrow(axis, 1, n - 1))[..., None]
        difference = (values.diff(dim=axis) * both).square()
        shape = list(values.shape)
        shape[axis] = 1
        squares = squares + torch.cat([difference, values.new_zeros(shape)], dim=axis)
    return squares.sqrt()[exists][links[exists].argsort()]


def vertices_of(links: torch.Tensor) -> torch.Tensor:
    flat = links.flatten()
    vertices = torch.arange(len(flat), dtype=torch.int32)[flat >= 0]
    return vertices[flat[flat >= 0].argsort()].contiguous()


def leaves(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


# The references, by hand


def test_the_reference_interpolates_a_linear_function(generator):
    z, y, x = torch.meshgrid(*[torch.linspace(-1, 1, n) for n in SIZES], indexing="ij")
    links = torch.arange(x.numel(), dtype=torch.int32).view(SIZES)
    rows = (x + 10 * y + 100 * z).reshape(-1, 1)
    positions = torch.rand(50, 3, generator=generator) * 2 - 1
    expected = positions @ torch.tensor([1.0, 10.0, 100.0])
    torch.testing.assert_close(reference(positions, rows, links)[:, 0], expected, rtol=1e-4, atol=1e-3)


def test_the_reference_of_the_variation_by_hand():
    # 1 at the origin's vertex, 4 and 5 after it along x and y, nothing along z: sqrt(9 + 16).
    links = torch.full((2, 2, 2), -1, dtype=torch.int32)
    links[0, 0, 0], links[0, 0, 1], links[0, 1, 0] = 2, 0, 1
    found = reference_tv(torch.tensor([[4.0], [5.0], [1.0]]), links).flatten()
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 5.0]), rtol=0, atol=1e-4)


# The kernels


@pytest.fixture(params=["one thread", "three threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1 if request.param == "one thread" else 3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("width", [1, 3, 27])
def test_values_and_gradients_are_the_references(generator, width):
    rows, links = grid(generator, width)
    positions = torch.rand(3000, 3, generator=generator) * 2.2 - 1.1  # some outside
    grad = torch.randn(3000, width, generator=generator)
    x, theta = leaves(positions.double(), rows.double())
    expected = reference(x, theta, links)
    expected_gradients = torch.autograd.grad(expected, (x, theta), grad.double())
    mine_x, mine_theta = leaves(positions, rows)
    mine = voxel_look_up(mine_x, mine_theta, links)
    gradients = torch.autograd.grad(mine, (mine_x, mine_theta), grad)
    torch.testing.assert_close(mine.double(), expected, rtol=1e-4, atol=1e-5)
    for got, wanted in zip(gradients, expected_gradients):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-4, atol=2e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("n_pieces", [2, 3, 7])
def test_no_two_pieces_of_a_scatter_write_to_one_row(generator, n_pieces):
    """So no addition can be lost, whichever threads take them; asked piece by piece, since threads may never meet."""
    rows, links = grid(generator, 4)
    positions = torch.rand(500, 3, generator=generator) * 2 - 1
    grad = torch.rand(500, 4, generator=generator) + 0.5
    nz, ny, nx = SIZES
    inputs = [positions, grad.view(-1), links.view(-1), nx, ny, nz, 500, n_pieces]
    parts = torch.zeros(n_pieces, *rows.shape)
    for piece in range(n_pieces):
        _run(kernels.kernels_for(4).scatter, 1, [piece, *inputs, parts[piece].view(-1)], "cpu")
    assert ((parts != 0).any(-1).sum(0) <= 1).all()
    (theta,) = leaves(rows)
    reference(positions, theta, links).backward(grad)
    torch.testing.assert_close(parts.sum(0), theta.grad)


def test_the_gradient_of_two_look_ups_is_their_sum_and_may_be_asked_for_twice(generator):
    rows, links = grid(generator, 2)
    positions = torch.rand(20, 3, generator=generator) * 2 - 1
    (theta,) = leaves(rows)
    loss = voxel_look_up(positions, theta, links).sum() + voxel_look_up(-positions, theta, links).sum()
    loss.backward(retain_graph=True)
    once = theta.grad.clone()
    loss.backward()
    torch.testing.assert_close(theta.grad, 2 * once)
    (other,) = leaves(rows)
    (reference(positions, other, links).sum() + reference(-positions, other, links).sum()).backward()
    torch.testing.assert_close(once, other.grad)


def test_what_is_no_number_stays_in_the_grid(generator):
    rows, links = grid(generator, 1, share=1.0)
    found = voxel_look_up(torch.full((300, 3), torch.nan), rows, links)
    assert torch.equal(found, rows[links[0, 0, 0].long()].expand(300, 1))


def test_no_positions(generator):
    rows, links = grid(generator, 3)
    (theta,) = leaves(rows)
    found = voxel_look_up(torch.zeros(0, 3), theta, links)
    assert found.shape == (0, 3)
    found.sum().backward()
    assert not theta.grad.any()


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("width", [1, 5])
def test_blocks_of_the_variation_make_up_the_whole(generator, width):
    rows, links = grid(generator, width)
    (theta,) = leaves(rows.double())
    expected = reference_tv(theta, links)
    expected.mean().backward()
    half = len(rows) // 2
    rows, links = rows[: 2 * half], torch.where(links < 2 * half, links, -1)  # two equal blocks
    (theta,) = leaves(rows.double())
    expected = reference_tv(theta, links)
    expected.mean().backward()
    (mine,) = leaves(rows)
    vertices = vertices_of(links)
    parts = [voxel_tv(mine, links, vertices, 0, half), voxel_tv(mine, links, vertices, half, 2 * half)]
    torch.testing.assert_close(parts[0].double(), expected[:half].mean(), rtol=1e-5, atol=0)
    (0.5 * sum(parts)).backward()
    torch.testing.assert_close(mine.grad.double(), theta.grad, rtol=1e-4, atol=1e-6)


def test_the_variation_of_nothing(generator):
    rows, links = grid(generator, 2)
    (theta,) = leaves(rows)
    variation = voxel_tv(theta, links, vertices_of(links), 3, 3)
    variation.backward()
    assert variation.item() == 0
    assert not theta.grad.any()


# The form that the kernels have on CUDA


@pytest.fixture
def cuda_form(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kernels made while this is used have the form for CUDA, on whatever device they are compiled."""

    def forget() -> None:
        kernels.kernels_for.cache_clear()
        tv_kernels.variation_kernel.cache_clear()

    forget()
    monkeypatch.setattr(kernels, "ON_CUDA", "1")
    monkeypatch.setattr(tv_kernels, "ON_CUDA", "1")
    yield
    forget()


@pytest.mark.usefixtures("cuda_form")
def test_the_form_for_cuda_gives_the_same(generator):
    """A thread for each number; those of padding, whose gradient is 0, add to nothing."""
    rows, links = grid(generator, 3)
    n, (nz, ny, nx) = 200, SIZES
    positions = torch.rand(n, 3, generator=generator) * 2 - 1
    grad = torch.randn(n, 3, generator=generator)
    grad[-50:] = 0.0
    (theta,) = leaves(rows)
    expected = reference(positions, theta, links)
    expected.backward(grad)
    found, grad_rows = torch.empty(n, 3), torch.full_like(rows, -0.0)
    shape, device, both = [links.view(-1), nx, ny, nz], torch.device("cpu"), kernels.kernels_for(3)
    launch(both.look_up, 3 * n, [positions, rows.view(-1), *shape, n, 0, found.view(-1)], device, 1)
    launch(both.scatter, 3 * n, [positions, grad.view(-1), *shape, n, 0, grad_rows.view(-1)], device, 1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(grad_rows, theta.grad)
    untouched = torch.full_like(rows, -0.0)
    launch(both.scatter, 150, [positions[-50:], torch.zeros(150), *shape, 50, 0, untouched.view(-1)], device, 1)
    assert torch.signbit(untouched).all()
    values, gradient = torch.empty_like(rows), torch.empty_like(rows)
    place = [0, len(rows), 0, values.view(-1), gradient.view(-1)]
    variation = tv_kernels.variation_kernel(3)
    launch(variation, rows.numel(), [rows.view(-1), links.view(-1), vertices_of(links), nx, ny, nz, *place], device, 1)
    torch.testing.assert_close(values, reference_tv(rows, links))


def test_the_optimisers_kernel_has_a_form_for_cuda():
    assert f"#if {kernels.ON_CUDA}" in adam_kernels._CODE


# Bad input


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"positions": torch.zeros(4, 2)}, ValueError, "positions must have shape"),
        ({"rows": torch.zeros(4, 2, dtype=torch.float64)}, TypeError, "rows must be torch.float32"),
        ({"rows": torch.zeros(4, 0)}, ValueError, "rows must have numbers"),
        ({"links": torch.zeros(1, 2, 2, dtype=torch.int32)}, ValueError, "at least 2 vertices"),
        ({"links": torch.zeros(2, 2, 2)}, TypeError, "links must be torch.int32"),
    ],
)
def test_bad_input_is_named(changes: dict, error: type, message: str):
    good = {
        "positions": torch.zeros(4, 3),
        "rows": torch.zeros(4, 2),
        "links": torch.zeros(2, 2, 2, dtype=torch.int32),
    }
    with pytest.raises(error, match=message):
        voxel_look_up(**(good | changes))


def test_a_block_outside_is_refused(generator):
    rows, links = grid(generator, 1)
    with pytest.raises(ValueError, match="start <= end"):
        voxel_tv(rows, links, vertices_of(links), 5, len(rows) + 1)
