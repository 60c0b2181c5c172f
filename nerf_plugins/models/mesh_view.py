"""The current mesh in the viewer, at the press of a button."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nerfstudio.utils.rich_utils import CONSOLE
from nerfstudio.viewer.viewer_elements import ViewerButton, ViewerControl, ViewerSlider
from torch import nn
from viser import GlbHandle

from nerf_plugins.errors import InputError

if TYPE_CHECKING:
    from trimesh import Trimesh


class MeshView(nn.Module):
    """Viewer controls that make a mesh of the surface as it is now, and show it among the cameras; a module, so that nerfstudio finds
    them.

    Args:
        make_mesh: makes the coloured mesh in the scene's space, of a resolution; an `InputError` is shown.
    """

    def __init__(self, make_mesh: Callable[[int], Trimesh]) -> None:
        super().__init__()
        self.make_mesh = make_mesh
        self.control = ViewerControl()
        self.resolution = ViewerSlider("Mesh resolution", 128, 32, 512, 32, hint="Cells along the scene box")
        self.show_button = ViewerButton("Show mesh", lambda _: self.show())
        self.hide_button = ViewerButton("Hide mesh", lambda _: self.hide())
        self.shown: GlbHandle | None = None

    def show(self) -> None:
        """Makes the mesh and shows it in place of the one before; where there is none, says why.

        The viewer calls it between two training steps, in which parameters may be replaced: it holds the steps' lock around each
        control's callback (nerfstudio's Viewer, `cb_lock`). To take that here again would wait for ever.
        """
        # Here, since it imports all of nerfstudio's models.
        from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO

        try:
            mesh = self.make_mesh(int(self.resolution.value))
        except InputError as e:
            CONSOLE.print(f"[yellow]No mesh to show: {e}[/yellow]")
            return
        scene = self.control.viser_server.scene
        self.shown = scene.add_mesh_trimesh("/mesh", mesh, scale=VISER_NERFSTUDIO_SCALE_RATIO)

    def hide(self) -> None:
        """Takes the mesh away."""
        if self.shown is not None:
            self.shown.remove()
            self.shown = None
