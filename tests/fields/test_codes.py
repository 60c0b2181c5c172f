import torch

from nerf_plugins.fields.codes import ImageCodes
from nerf_plugins.rays import Points


def test_each_point_has_its_photos_code_and_without_a_photo_the_mean():
    codes = ImageCodes(3, 2)
    with torch.no_grad():
        codes.weight.copy_(torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 6.0]]))
    rays = torch.tensor([0, 0, 1], dtype=torch.int32)
    seen = Points(torch.zeros(3, 3), ray_indices=rays, camera_indices=torch.tensor([2, 1]))
    assert codes(seen).tolist() == [[0.0, 6.0], [0.0, 6.0], [3.0, 0.0]]
    assert codes(Points(torch.zeros(2, 3))).tolist() == [[1.0, 2.0], [1.0, 2.0]]


def test_pictures_have_the_code_that_is_shown_and_photos_their_own():
    codes = ImageCodes(3, 2)
    codes.shown = torch.tensor([5.0, 7.0])
    assert codes(Points(torch.zeros(2, 3))).tolist() == [[5.0, 7.0], [5.0, 7.0]]
    seen = codes(Points(torch.zeros(1, 3), camera_indices=torch.tensor([1])))
    assert torch.equal(seen, codes.weight[1:2])
    assert list(codes.state_dict()) == ["weight"]
