"""Analytic scenes with exact geometry (numpy only): the demo's pictures and the truth of tests."""

from nerf_plugins.scenes.cameras import Camera
from nerf_plugins.scenes.demo import SCENES, demo_scene
from nerf_plugins.scenes.materials import Material
from nerf_plugins.scenes.moving import moved, moving_scene
from nerf_plugins.scenes.primitives import Box, Capsule, Cone, Cylinder, Shape, Sphere, Torus
from nerf_plugins.scenes.rendering import camera_rays, depth, normals, render
from nerf_plugins.scenes.scene import Hits, Light, Placed, Scene

__all__ = [
    "SCENES",
    "Box",
    "Camera",
    "Capsule",
    "Cone",
    "Cylinder",
    "Hits",
    "Light",
    "Material",
    "Placed",
    "Scene",
    "Shape",
    "Sphere",
    "Torus",
    "camera_rays",
    "demo_scene",
    "depth",
    "moved",
    "moving_scene",
    "normals",
    "render",
]
