"""Public stateless functions on torch tensors, on CUDA and CPU: arguments checked, gradients where they make sense."""

from nerf_plugins.ops.composite import Composited, blend_background, composite
from nerf_plugins.ops.march import PackedSamples, march_grid
from nerf_plugins.ops.sample_pdf import sample_pdf

__all__ = ["Composited", "PackedSamples", "blend_background", "composite", "march_grid", "sample_pdf"]
