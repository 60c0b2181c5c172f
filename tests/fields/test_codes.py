import pytest
import torch

from nerf_plugins.engine.finetuning import fit_to_images, per_image_keys
from nerf_plugins.fields.base import Dataset
from nerf_plugins.fields.codes import ImageCodes, TimeCodes
from nerf_plugins.rays import Points


def test_each_point_has_its_photos_code_and_without_a_photo_the_mean():
    codes = ImageCodes(3, 2)
    with torch.no_grad():
        codes.weight.copy_(torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 6.0]]))
    rays = torch.tensor([0, 0, 1], dtype=torch.int32)
    seen = Points(torch.zeros(3, 3), ray_indices=rays, camera_indices=torch.tensor([2, 1]))
    assert codes(seen).tolist() == [[0.0, 6.0], [0.0, 6.0], [3.0, 0.0]]
    assert codes(Points(torch.zeros(2, 3))).tolist() == [[1.0, 2.0], [1.0, 2.0]]


def timed_codes(times: list[float]) -> TimeCodes:
    codes = TimeCodes(Dataset(len(times), torch.tensor(times)), 2)
    with torch.no_grad():
        codes.weight.copy_(torch.tensor([[float(i), 10.0 * i] for i in range(len(times))]))
    return codes


def test_codes_of_times_are_the_photos_and_between_them_interpolated():
    codes = timed_codes([0.5, 0.0, 1.0])  # rows 0, 1, 2
    asked = torch.tensor([0.0, 0.5, 1.0, 0.25, 0.9, -1.0, 2.0])
    assert codes.at(asked)[:, 0].tolist() == pytest.approx([1.0, 0.0, 2.0, 0.5, 1.6, 1.0, 2.0])
    rays = torch.tensor([1, 1, 0])
    seen = codes(Points(torch.zeros(3, 3), ray_indices=rays, times=torch.tensor([0.0, 1.0])))
    assert seen.tolist() == [[2.0, 20.0], [2.0, 20.0], [1.0, 10.0]]


def test_photos_of_one_time_share_a_code_and_a_checkpoint_has_it_for_each():
    codes = timed_codes([0.0, 1.0, 0.0, 1.0])
    assert codes.at(torch.tensor([0.0, 1.0]))[:, 0].tolist() == [0.0, 1.0]
    codes.at(torch.tensor([0.0])).sum().backward()
    assert codes.weight.grad[:, 0].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert codes.state_dict()["weight"][:, 0].tolist() == [0.0, 1.0, 0.0, 1.0]


def test_codes_of_times_are_found_by_name_on_other_photos():
    field = torch.nn.ModuleDict({"codes": timed_codes([0.0, 0.5, 1.0, 0.5])})
    own = torch.nn.ModuleDict({"codes": TimeCodes(Dataset(3, torch.tensor([0.5, 0.0, 0.75])), 2)})
    keys = per_image_keys(own)
    names, earlier = ["d.png", "a.png", "new.png"], ["a.png", "b.png", "c.png", "d.png"]
    fitted = fit_to_images(field.state_dict(), own.state_dict(), keys, names, earlier)
    own.load_state_dict(fitted.state)
    # d was of b's time, so it had b's code; the new one has the mean of all four photos.
    assert own["codes"].at(torch.tensor([0.5, 0.0, 0.75]))[:, 0].tolist() == [1.0, 0.0, 1.0]


def test_without_photos_there_is_one_code():
    assert TimeCodes(Dataset(), 3).at(torch.rand(4)).unique(dim=0).shape == (1, 3)


def test_pictures_have_the_code_that_is_shown_and_photos_their_own():
    codes = ImageCodes(3, 2)
    codes.shown = torch.tensor([5.0, 7.0])
    assert codes(Points(torch.zeros(2, 3))).tolist() == [[5.0, 7.0], [5.0, 7.0]]
    seen = codes(Points(torch.zeros(1, 3), camera_indices=torch.tensor([1])))
    assert torch.equal(seen, codes.weight[1:2])
    assert list(codes.state_dict()) == ["weight"]
