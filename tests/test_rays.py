import torch

from nerf_plugins.rays import Points, Rays, in_pieces

RAYS = torch.tensor([0, 0, 1, 2, 2, 2], dtype=torch.int32)


def points() -> Points:
    """Six points of three rays."""
    generator = torch.Generator().manual_seed(0)
    return Points(
        positions=torch.rand(6, 3, generator=generator),
        ray_indices=RAYS,
        directions=torch.rand(3, 3, generator=generator),
        times=torch.tensor([0.1, 0.2, 0.3]),
        camera_indices=torch.tensor([7, 8, 9]),
        scales=torch.arange(6.0),
    )


def test_what_belongs_to_rays_is_spread_over_their_points():
    assert points().per_point(torch.tensor([10, 20, 30])).tolist() == [10, 10, 20, 30, 30, 30]
    spread = points().spread()
    assert spread.ray_indices is None
    assert spread.camera_indices.tolist() == [7, 7, 8, 9, 9, 9]
    assert torch.equal(spread.directions, points().directions[RAYS.long()])
    assert torch.equal(spread.per_point(spread.times), points().per_point(points().times))


def test_an_encoding_of_rays_is_the_same_whether_rays_or_points_are_fewer():
    calls: list[int] = []

    def double(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return 2 * x

    few = points().part(slice(0, 2))
    assert torch.equal(points().encoded(double, points().directions), 2 * points().directions[RAYS.long()])
    assert torch.equal(few.encoded(double, few.directions), 2 * few.directions[:1].expand(2, 3))
    assert calls == [3, 2]


def test_a_part_keeps_the_rays_and_what_has_one_of_its_own_is_cut():
    part = points().part(slice(3, 5))
    assert part.ray_indices.tolist() == [2, 2]
    assert len(part.directions) == 3
    assert part.scales.tolist() == [3.0, 4.0]
    assert points().spread().part(torch.tensor([5, 0])).camera_indices.tolist() == [9, 7]


def test_pieces():
    sizes: list[int] = []

    def sums(p: Points) -> torch.Tensor:
        sizes.append(len(p.positions))
        return p.positions.sum(-1) + p.per_point(p.times)

    assert torch.equal(in_pieces(sums, points(), 4), sums(points()))
    assert sizes == [4, 2, 6]
    empty = points().part(slice(0, 0))
    assert in_pieces(sums, empty, 4).shape == (0,)


def test_a_part_of_rays_has_all_that_they_have():
    numbers = torch.arange(4.0)
    vectors = numbers[:, None].expand(4, 3)
    rays = Rays(vectors, -vectors, numbers, numbers + 1, 2 * vectors, numbers + 2, numbers + 3, times=numbers + 4)
    part = rays.part(torch.tensor([3, 1]))
    assert [value[:, 0].tolist() for value in (part.origins, part.directions, part.viewdirs)] == [
        [3, 1],
        [-3, -1],
        [6, 2],
    ]
    of_numbers = (part.nears, part.fars, part.distance_scale, part.distance_start, part.times)
    assert [value.tolist() for value in of_numbers] == [[3, 1], [4, 2], [5, 3], [6, 4], [7, 5]]
    assert part.radii is None
    assert part.camera_indices is None
