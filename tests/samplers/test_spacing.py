import torch

from nerf_plugins.samplers.spacing import even_edges, pack_edges, quantiles, spread_evenly, spread_in_disparity

CPU = torch.device("cpu")


def test_pack_edges():
    samples = pack_edges(torch.tensor([[0.0, 1.0, 3.0], [2.0, 4.0, 5.0]]))
    assert samples.t_starts.tolist() == [0.0, 1.0, 2.0, 4.0]
    assert samples.t_ends.tolist() == [1.0, 3.0, 4.0, 5.0]
    assert samples.ray_indices.tolist() == [0, 0, 1, 1]


def test_even_edges_are_jittered_by_up_to_half_a_share():
    assert even_edges(1, 4, CPU, stratified=False)[0].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    edges = even_edges(1000, 4, CPU, stratified=True)
    assert (edges[:, 0] == 0).all()
    assert (edges[:, -1] == 1).all()
    shift = edges[:, 1:-1] - torch.tensor([0.25, 0.5, 0.75])
    assert 0.12 < float(shift.abs().max()) <= 0.125
    ends = even_edges(1000, 4, CPU, stratified=True, ends=True)
    assert float(ends.min()) == 0.0
    assert float(ends[:, 0].max()) > 0.1
    assert float(ends.max()) == 1.0


def test_quantiles_are_one_in_each_share_and_below_1():
    assert quantiles(2, 4, CPU, stratified=False)[1].tolist() == [0.125, 0.375, 0.625, 0.875]
    u = quantiles(1000, 4, CPU, stratified=True)
    assert ((4 * u).long() == torch.arange(4)).all()
    assert float(u.max()) < 1.0


def test_spreading_reaches_both_ends():
    s, nears, fars = torch.tensor([[0.0, 0.5, 1.0]]), torch.tensor([1.0]), torch.tensor([3.0])
    assert spread_evenly(s, nears, fars)[0].tolist() == [1.0, 2.0, 3.0]
    # 1 / (1 + t) is 1/2, 3/8 and 1/4.
    torch.testing.assert_close(spread_in_disparity(s, nears, fars)[0], torch.tensor([1.0, 5 / 3, 3.0]))
    assert float(spread_in_disparity(s, nears, torch.tensor([1e10]))[0, 2]) == float(torch.tensor(1e10))


def test_layouts_first_made_for_a_picture_serve_training():
    edges = torch.linspace(0.0, 1.0, 14).expand(3, -1)  # 13 shares: no other test has made these
    with torch.inference_mode():
        pack_edges(edges)
    densities = torch.ones(3 * 13, requires_grad=True)
    (densities * pack_edges(edges).ray_indices).sum().backward()  # autograd keeps them
    assert densities.grad is not None
