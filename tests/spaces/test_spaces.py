import pytest
import torch
from nerfstudio.cameras.rays import RayBundle

from nerf_plugins.errors import InputError
from nerf_plugins.rays import Rays
from nerf_plugins.spaces import SPACES, BoxSpace, ContractedSpace, CubeSpace, NDCSpace, box_span, suitable_space

AABB = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 3.0, 1.0]])
NDC_BOX = torch.tensor([[-1.5, -1.5, -1.0], [1.5, 1.5, 1.0]])


def bundle(origins: list[list[float]], directions: list[list[float]], **bounds: torch.Tensor) -> RayBundle:
    d = torch.nn.functional.normalize(torch.tensor(directions), dim=-1)
    return RayBundle(origins=torch.tensor(origins), directions=d, pixel_area=torch.ones(len(d), 1), **bounds)


def test_box_corners_go_to_the_cubes():
    space = BoxSpace(AABB)
    assert torch.allclose(space.field_positions(AABB), torch.tensor([[-1.0] * 3, [1.0] * 3]))


def test_box_near_and_far_are_the_planes_or_the_bundles_own():
    space = BoxSpace(AABB)
    rays = space.rays(bundle([[0.0, 0.0, 5.0]], [[0.0, 0.0, -1.0]]), 0.1, 50.0)
    assert (rays.nears.item(), rays.fars.item()) == (pytest.approx(0.1), 50.0)
    own = bundle([[0.0, 0.0, 5.0]], [[0.0, 0.0, -1.0]], nears=torch.tensor([[4.5]]), fars=torch.tensor([[5.5]]))
    rays = space.rays(own, 0.1, 50.0)
    assert (rays.nears.item(), rays.fars.item()) == (4.5, 5.5)


def test_clip_is_the_part_in_the_box():
    space = BoxSpace(AABB)
    rays = space.rays(bundle([[0.0, 0.0, 5.0], [9.0, 0.0, 5.0]], [[0.0, 0.0, -1.0]] * 2), 0.1, 50.0)
    nears, fars = space.clip(rays)
    assert (nears[0].item(), fars[0].item()) == (4.0, 6.0)
    assert nears[1] == fars[1]


@pytest.mark.parametrize("distance", [0.5, 1.0, 1.5, 10.0, 1e6])
def test_contraction_by_hand(distance: float):
    space = ContractedSpace(torch.tensor([[-1.0] * 3, [1.0] * 3]))
    contracted = space.field_positions(torch.tensor([[distance, 0.0, 0.0]]))[0, 0].item()
    expected = distance / 2 if distance <= 1 else (2 - 1 / distance) / 2
    assert contracted == pytest.approx(expected, rel=1e-6)
    assert contracted <= 1.0


def test_ndc_by_hand():
    # Focal length = half the image: 90 degrees. A point at (0.5, -1, -2) is at x/-z = 0.25, y/-z = -0.5, and at depth 1 - 2n/2 = 0.
    space = NDCSpace(NDC_BOX, focal_x=1.0, focal_y=1.0, near=1.0)
    point = torch.tensor([0.5, -1.0, -2.0])
    rays = space.rays(bundle([[0.0, 0.0, 0.0]], [point.tolist()]), 0.0, 1e3)
    assert torch.allclose(rays.origins[0], torch.tensor([0.25, -0.5, -1.0]), atol=1e-6)
    # From the plane z = -1 (ndc z = -1) the ray reaches the point at ndc z = 0: x and y stay, since it starts at the centre.
    assert torch.allclose(rays.directions[0], torch.tensor([0.0, 0.0, 1.0]), atol=1e-6)
    t = torch.tensor([1.0])
    assert space.distances(rays, t).item() == pytest.approx(point.norm().item(), rel=1e-5)


def test_ndc_points_lie_on_the_transformed_ray():
    torch.manual_seed(0)
    space = NDCSpace(NDC_BOX, focal_x=1.3, focal_y=1.7, near=1.0)
    origin, direction = torch.tensor([0.2, -0.1, 0.3]), torch.tensor([0.2, 0.1, -1.0])
    rays = space.rays(bundle([origin.tolist()], [direction.tolist()]), 0.0, 1e3)
    unit = direction / direction.norm()
    t_near = -(1.0 + origin[2]) / unit[2]
    for distance in (0.5, 2.0, 20.0):
        x, y, z = origin + (t_near + distance) * unit
        device = torch.stack([-1.3 * x / z, -1.7 * y / z, 1 + 2 / z])
        t = (device - rays.origins[0]).norm()
        assert torch.allclose(rays.origins[0] + t * rays.directions[0], device, atol=1e-5)
        assert space.distances(rays, t[None]).item() == pytest.approx(distance + float(t_near), rel=1e-3)


def test_ndc_rays_end_at_infinity_and_rays_that_look_back_see_nothing():
    space = NDCSpace(NDC_BOX, 1.0, 1.0, 1.0)
    rays = space.rays(bundle([[0.0, 0.0, 0.0]] * 3, [[0.1, 0.2, -1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]), 0.0, 1e3)
    end = rays.origins + rays.fars[:, None] * rays.directions
    assert end[0, 2].item() == pytest.approx(1.0, abs=1e-5)
    assert (rays.fars[1:] <= rays.nears[1:]).all()
    assert all(bool(x.isfinite().all()) for x in rays if x is not None)


def test_ndc_respects_a_crop():
    space = NDCSpace(NDC_BOX, 1.0, 1.0, 1.0)
    crop = {"nears": torch.tensor([[2.0]]), "fars": torch.tensor([[4.0]])}
    rays = space.rays(bundle([[0.0, 0.0, 0.0]], [[0.0, 0.0, -1.0]], **crop), 0.0, 1e3)
    assert space.distances(rays, rays.nears).item() == pytest.approx(2.0, rel=1e-5)
    assert space.distances(rays, rays.fars).item() == pytest.approx(4.0, rel=1e-5)


def test_kinds():
    ndc = {"focal_x": 1.0, "focal_y": 2.0, "near": 0.5}
    for name, cls in {"box": BoxSpace, "contracted": ContractedSpace, "ndc": NDCSpace}.items():
        space = SPACES[name].of_dataset(AABB, {"ndc": ndc})
        assert type(space) is cls
        assert torch.equal(space.aabb, AABB)
    assert isinstance(space, NDCSpace)
    assert (space.focal_x, space.focal_y, space.near) == (1.0, 2.0, 0.5)
    with pytest.raises(InputError, match="llff-data"):
        SPACES["ndc"].of_dataset(AABB, {})


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({}, "box"),
        ({"cameras_inside_box": False}, "box"),
        ({"cameras_inside_box": True}, "contracted"),
        ({"cameras_inside_box": True, "ndc": {}}, "ndc"),
    ],
)
def test_the_space_that_suits_a_dataset(metadata: dict, name: str):
    assert suitable_space(metadata) == name


def test_the_cube_scales_evenly_and_keeps_distances():
    space = CubeSpace(torch.tensor([[0.0, 0.0, 0.0], [4.0, 2.0, 1.0]]))
    torch.testing.assert_close(space.aabb, torch.tensor([[-1.0, -0.5, -0.25], [1.0, 0.5, 0.25]]))
    world = torch.tensor([[4.0, 2.0, 1.0], [2.0, 1.0, 0.5]])
    torch.testing.assert_close(space.from_world(world), torch.tensor([[1.0, 0.5, 0.25], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(space.to_world(space.from_world(world)), world)
    rays = space.rays(bundle([[2.0, 1.0, 8.5]], [[0.0, 0.0, -1.0]]), 0.05, 1000.0)
    nears, fars = space.clip(rays)
    torch.testing.assert_close(space.distances(rays, nears), torch.tensor([7.5]))
    torch.testing.assert_close(space.distances(rays, fars), torch.tensor([8.5]))
    torch.testing.assert_close(rays.nears, torch.tensor([0.025]))


def test_the_cube_of_a_box_off_centre_sees_a_crop():
    space = CubeSpace(torch.tensor([[-1.0, 2.0, 3.0], [3.0, 4.0, 9.0]]))
    assert float(space.scale) == 3.0
    torch.testing.assert_close(space.to_world(torch.zeros(1, 3)), torch.tensor([[1.0, 3.0, 6.0]]))
    bounds = {"nears": torch.tensor([[4.0]]), "fars": torch.tensor([[6.0]])}
    rays = space.rays(bundle([[1.0, 3.0, 15.0]], [[0.0, 0.0, -1.0]], **bounds), 0.05, 1000.0)
    torch.testing.assert_close(rays.origins, torch.tensor([[0.0, 0.0, 3.0]]))
    torch.testing.assert_close(rays.viewdirs, torch.tensor([[0.0, 0.0, -1.0]]))
    nears, fars = space.clip(rays)  # the box begins at 6, behind which the crop leaves nothing
    assert nears == fars
    nears, fars = space.clip(rays._replace(fars=torch.tensor([7.0 / 3])))
    torch.testing.assert_close(space.distances(rays, torch.cat([nears, fars])), torch.tensor([6.0, 7.0]))
    positions = torch.rand(5, 3)
    assert torch.equal(space.field_positions(positions), positions)
    assert set(space.state_dict()) == {"aabb", "centre", "scale"}


def test_where_rays_enter_and_leave_a_box_by_hand():
    aabb = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 3.0]])
    origins = torch.tensor([[-3.0, 0.0, 0.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [-3.0, 2.0, 0.0], [-3.0, -1.5, 0.0]])
    directions = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.5, 0.0]])
    enter, leave = box_span(origins, directions, aabb)
    assert enter[[0, 1, 2, 4]].tolist() == [2.0, -0.5, -4.0, 2.0]
    assert leave[[0, 1, 2, 4]].tolist() == [4.0, 1.5, -2.0, 4.0]
    assert enter[3] > leave[3]
    assert box_span(origins[None], directions[None], aabb)[0].shape == (1, 5)


SPACE_CLASSES = [BoxSpace, ContractedSpace, CubeSpace]
PIECES = (torch.tensor([0, 0, 1], dtype=torch.int32), torch.tensor([0.0, 1.0, 3.0]), torch.tensor([0.5, 2.0, 40.0]))


def two_rays(space: BoxSpace) -> Rays:
    return space.rays(bundle([[0.1, 0.2, 0.3], [1.0, -1.0, 0.5]], [[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]]), 0.0, 1000.0)


@pytest.mark.parametrize("base", SPACE_CLASSES)
def test_middles_in_one_pass_are_those_of_the_spaces_map(monkeypatch: pytest.MonkeyPatch, base: type[BoxSpace]):
    space = base(AABB)
    rays = two_rays(space)
    at_once = space.points(rays, *PIECES).positions
    monkeypatch.setattr(space, "middles_at_once", lambda *_: None)
    torch.testing.assert_close(at_once, space.points(rays, *PIECES).positions, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("base", SPACE_CLASSES)
def test_a_space_with_another_map_has_its_own_middles(base: type[BoxSpace]):
    class Halved(base):
        def field_positions(self, positions: torch.Tensor) -> torch.Tensor:
            return 0.5 * super().field_positions(positions)

    own, theirs = Halved(AABB), base(AABB)
    expected = 0.5 * theirs.points(two_rays(theirs), *PIECES).positions
    torch.testing.assert_close(own.points(two_rays(own), *PIECES).positions, expected)


@pytest.mark.parametrize("base", SPACE_CLASSES)
def test_rays_that_learn_take_their_gradient_through_the_middles(base: type[BoxSpace]):
    space = base(AABB)
    rays = two_rays(space)
    rays = rays._replace(origins=rays.origins.clone().requires_grad_())
    space.points(rays, *PIECES).positions.sum().backward()
    assert rays.origins.grad is not None
    assert rays.origins.grad.abs().min() > 0


def test_rays_that_learn_are_clipped_to_the_same_part_and_take_its_gradient():
    space = BoxSpace(AABB)
    rays = two_rays(space)
    learning = rays._replace(origins=rays.origins.clone().requires_grad_())
    nears, fars = space.clip(learning)
    torch.testing.assert_close((nears.detach(), fars.detach()), space.clip(rays))
    (nears + fars).sum().backward()
    assert learning.origins.grad is not None
    assert learning.origins.grad.abs().max() > 0
