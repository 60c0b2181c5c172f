"""The current mesh in the viewer, at the press of a button."""

from __future__ import annotations

from collections.abc import Callable

from nerfstudio.utils.rich_utils import CONSOLE
from nerfstudio.viewer.viewer_elements import ViewerButton, ViewerControl, ViewerSlider
from torch import nn
from viser import GlbHandle

from nerf_plugins.errors import InputError
from nerf_plugins.export.mesh import color_vertices, extract_mesh
from nerf_plugins.implicit import ImplicitSurface

# nerfstudio shows its scenes this much larger in the browser.
_VIEWER_SCALE = 10.0


class MeshView(nn.Module):
    """Viewer controls that make a mesh of the surface as it is now, and show it among the cameras; a module, so that nerfstudio finds
    them.

    Args:
        surface: gives the surface.
    """

    def __init__(self, surface: Callable[[], ImplicitSurface]) -> None:
        super().__init__()
        self.surface = surface
        self.control = ViewerControl()
        self.resolution = ViewerSlider("Mesh resolution", 128, 32, 512, 32, hint="Cells along the scene box")
        self.show_button = ViewerButton("Show mesh", lambda _: self.show())
        self.hide_button = ViewerButton("Hide mesh", lambda _: self.hide())
        self.shown: GlbHandle | None = None

    def show(self) -> None:
        """Makes the mesh and shows it in place of the one before; where there is no surface, says so."""
        surface = self.surface()
        try:
            mesh = extract_mesh(surface, int(self.resolution.value))
        except InputError as e:
            CONSOLE.print(f"[yellow]No mesh to show: {e}[/yellow]")
            return
        color_vertices(mesh, surface)
        self.shown = self.control.viser_server.scene.add_mesh_trimesh("/mesh", mesh, scale=_VIEWER_SCALE)

    def hide(self) -> None:
        """Takes the mesh away."""
        if self.shown is not None:
            self.shown.remove()
            self.shown = None
