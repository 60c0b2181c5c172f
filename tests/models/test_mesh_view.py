"""The mesh in the viewer: its buttons are found by nerfstudio and show the surface."""

import socket
import threading
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import torch
from nerfstudio.configs.base_config import ViewerConfig
from nerfstudio.engine.callbacks import TrainingCallbackAttributes
from nerfstudio.viewer.utils import parse_object
from nerfstudio.viewer.viewer import Viewer
from nerfstudio.viewer.viewer_elements import ViewerElement

from nerf_plugins.data.crop import CropBox
from nerf_plugins.spaces import NDCSpace

from .test_neus import make_model, sharp_sphere


class Scene:
    """What viser's scene is told."""

    def __init__(self) -> None:
        self.meshes: list = []

    def add_mesh_trimesh(self, name, mesh, scale):
        self.meshes.append((name, mesh, scale))
        return SimpleNamespace(remove=self.meshes.clear)


def with_viewer(model) -> Scene:
    scene = Scene()
    model.mesh_view.control.viser_server = SimpleNamespace(scene=scene)
    return scene


def test_the_viewer_finds_the_controls():
    names = {element.name for _, element in parse_object(make_model(), ViewerElement, "model")}
    assert {"Show mesh", "Hide mesh", "Mesh resolution", "SDF level", "Early stop"} <= names


def test_the_mesh_is_shown_and_hidden():
    model = sharp_sphere(half=2.0, centre=0.5)
    scene = with_viewer(model)
    model.mesh_view.resolution.value = 48
    model.mesh_view.show()
    ((_, mesh, scale),) = scene.meshes
    assert scale == 10.0
    radii = np.linalg.norm(mesh.vertices - 0.5, axis=1)
    assert np.abs(radii / radii.mean() - 1.0).max() < 0.02
    assert len(mesh.visual.vertex_colors) == len(mesh.vertices)
    model.mesh_view.hide()
    assert not scene.meshes
    model.mesh_view.hide()  # a second time does nothing


def test_the_button_of_the_viewer_makes_the_mesh_between_two_steps(tmp_path):
    """In one, parameters may be replaced under it. nerfstudio's viewer holds the steps' lock around what a control calls."""
    model = sharp_sphere(half=2.0, centre=0.5)
    lock = threading.Lock()
    trainer = SimpleNamespace(last_step=10, train_lock=lock)
    model.get_training_callbacks(TrainingCallbackAttributes(None, None, None, trainer))
    datamanager = SimpleNamespace(includes_time=False)
    pipeline = SimpleNamespace(datamanager=datamanager, model=model, device=torch.device("cpu"))
    config = ViewerConfig(websocket_port=free_port(), quit_on_train_completion=True)
    viewer = Viewer(config, tmp_path / "log" / "viewer", tmp_path, pipeline, train_lock=lock)
    try:
        model.mesh_view.resolution.gui_handle.value = 32
        with lock:
            press = threading.Thread(
                target=model.mesh_view.show_button.cb_hook, args=[model.mesh_view.show_button], daemon=True
            )
            press.start()
            press.join(0.5)
            assert press.is_alive()
            assert model.mesh_view.shown is None
        press.join(60)
        assert model.mesh_view.shown is not None
        assert not lock.locked()
    finally:
        viewer.viser_server.stop()


def free_port() -> int:
    with closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_no_surface_is_said(capsys):
    model = make_model()
    scene = with_viewer(model)
    model.mesh_view.resolution.value = 32
    with torch.no_grad():
        model.field.head.bias += 10.0
    model.mesh_view.show()
    assert not scene.meshes
    assert "No mesh to show" in capsys.readouterr().out


def test_what_a_run_crops_is_not_shown():
    model = sharp_sphere()
    scene = with_viewer(model)
    box = torch.tensor([[-9.0, -9.0, -9.0], [9.0, 0.1, 9.0]])  # in a world that is twice as large
    model.collider = CropBox(box, torch.eye(4)[:3], 0.5)
    model.mesh_view.resolution.value = 64
    model.mesh_view.show()
    ((_, mesh, _),) = scene.meshes
    assert 0.0 < mesh.bounds[1, 1] <= 0.05
    assert mesh.bounds[0, 1] < -0.4
    assert len(mesh.visual.vertex_colors) == len(mesh.vertices)


def test_device_coordinates_are_not_shown_among_cameras_of_the_world(capsys):
    model = sharp_sphere()
    scene = with_viewer(model)
    model.space = NDCSpace(model.scene_box.aabb, 1.0, 1.0, 1.0)
    model.mesh_view.show()
    assert not scene.meshes
    assert "No mesh to show: this model lives in normalised device coordinates" in capsys.readouterr().out
