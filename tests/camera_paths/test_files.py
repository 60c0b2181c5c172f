"""The file, as nerfstudio's own code reads it."""

import json
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
from nerfstudio.cameras.camera_paths import get_path_from_json
from nerfstudio.viewer.render_panel import populate_render_tab
from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO
from viser.transforms import SO3

from nerf_plugins.camera_paths.files import CameraPath, even_size, to_json, write_json
from nerf_plugins.camera_paths.novelty import view_novelty
from nerf_plugins.errors import InputError
from tests.camera_paths.rigs import ring


def content(count, fps=4.0, closed=True):
    """A ring's path and its file."""
    poses = ring(np.array([0.3, -0.2, 0.1]), 2.0, 1.0, count)
    path = CameraPath(poses, np.linspace(40.0, 50.0, count), width=104, height=52, fps=fps, closed=closed)
    training = ring(np.zeros(3), 2.0, 1.0, 3)
    return path, json.loads(json.dumps(to_json(path, view_novelty(poses, training, 2), ["a.png", "b.png", "c.png"])))


@pytest.mark.parametrize("count", [1, 6])
def test_nerfstudio_reads_the_same_cameras(count):
    path, written = content(count)
    cameras = get_path_from_json(written)
    assert cameras.size == count
    np.testing.assert_allclose(cameras.camera_to_worlds, path.poses[:, :3], atol=1e-6)
    assert [int(x) for x in (cameras.width[0], cameras.height[0])] == [104, 52]
    np.testing.assert_allclose(cameras.fy.flatten(), 26.0 / np.tan(np.radians(0.5 * path.fovs)), rtol=1e-5)
    np.testing.assert_array_equal(cameras.fx, cameras.fy)
    assert written["seconds"] == count / 4.0  # ns-render divides the number of views by it
    assert written["is_cycle"] is True


def test_nerfstudio_and_the_viewer_read_the_times():
    path, still = content(130)
    assert get_path_from_json(still).times is None
    path = path._replace(times=np.linspace(0.25, 1.0, 130))
    novelty = view_novelty(path.poses, ring(np.zeros(3), 2.0, 1.0, 3), 2)
    written = json.loads(json.dumps(to_json(path, novelty, ["a.png", "b.png", "c.png"])))
    np.testing.assert_allclose(get_path_from_json(written).times.flatten(), path.times, rtol=1e-6)
    keyframes = written["keyframes"]
    assert [k["render_time"] for k in keyframes] == [path.times[i] for i in [*range(0, 129, 3), 129]]
    assert all(k["override_time_enabled"] for k in keyframes)


def test_each_view_says_how_new_it_is():
    path, written = content(6)
    found = view_novelty(path.poses, ring(np.zeros(3), 2.0, 1.0, 3), 2)
    for i, view in enumerate(written["camera_path"]):
        assert view["novelty"]["distance"] == found.distance[i] == view["novelty"]["nearest"][0]["distance"]
        assert view["novelty"]["angle"] == found.least_angle[i]
        assert [n["image"] for n in view["novelty"]["nearest"]] == ["abc"[k] + ".png" for k in found.nearest[i]]
        assert [n["angle"] for n in view["novelty"]["nearest"]] == found.angles[i].tolist()


class Panel:
    """nerfstudio's render panel on a server that only notes what is shown; its buttons can be pressed."""

    def __init__(self, data: Path):
        self.server, self.client, self.pressed = MagicMock(), MagicMock(), {}
        for gui in (self.server.gui, self.client.gui):
            gui.add_button.side_effect = self._button
        for kind in ("add_slider", "add_number", "add_checkbox", "add_vector2"):
            getattr(self.server.gui, kind).side_effect = self._element
        self.client.gui.add_dropdown.side_effect = lambda label, options, initial_value: SimpleNamespace(
            value=initial_value
        )
        self.elements = {}
        populate_render_tab(self.server, data / "config.yml", data)

    def _button(self, label, **kwargs):
        return SimpleNamespace(
            on_click=lambda function: self.pressed.__setitem__(label, function), visible=True, order=0.0
        )

    def _element(self, label, initial_value=None, **kwargs):
        element = SimpleNamespace(value=initial_value, disabled=False, on_update=lambda function: function)
        return self.elements.setdefault(label, element)

    def load(self):
        event = SimpleNamespace(client=self.client)
        self.pressed["Load Path"](event)
        self.pressed["Load"](event)
        return [call.kwargs for call in self.server.scene.add_camera_frustum.call_args_list]


@pytest.mark.parametrize(("count", "stride"), [(5, 1), (130, 3)])
def test_the_viewer_loads_it(tmp_path, count, stride):
    path, written = content(count, fps=10.0)
    write_json(written, tmp_path / "camera_paths" / "ring.json")
    panel = Panel(tmp_path)
    shown = panel.load()
    chosen = [*range(0, count - 1, stride), count - 1]
    assert len(shown) == len(chosen)
    for frustum, i in zip(shown, chosen):
        np.testing.assert_allclose(frustum["position"], VISER_NERFSTUDIO_SCALE_RATIO * path.poses[i, :3, 3])
        # viser's cameras look along +z with y down.
        rotation = SO3(frustum["wxyz"]).as_matrix()
        np.testing.assert_allclose(rotation, path.poses[i, :3, :3] @ np.diag([1.0, -1.0, -1.0]), atol=1e-9)
        assert np.degrees(frustum["fov"]) == pytest.approx(path.fovs[i])
        assert frustum["aspect"] == 2.0
    assert panel.elements["Transition (sec)"].value == pytest.approx(stride / 10.0)
    seconds = [k.get("override_transition_sec") for k in written["keyframes"]]
    assert sum(seconds[1:]) == pytest.approx((count - 1) / 10.0)
    assert [k["override_transition_enabled"] for k in written["keyframes"]] == [False] * (len(chosen) - 1) + [True]


def test_sizes_are_even():
    assert even_size(101.2, 50.9) == (102, 50)
    assert even_size(99.0, 0.3) == (100, 2)


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "a.json").write_text("mine")
    with pytest.raises(InputError, match=r"a\.json exists and is not overwritten"):
        write_json({}, tmp_path / "a.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_json({}, tmp_path / "file" / "b.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "file"]
    assert (tmp_path / "a.json").read_text() == "mine"
