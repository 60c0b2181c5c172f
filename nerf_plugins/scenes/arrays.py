"""The arrays of this room, by shape; all are float64 but the indices."""

import numpy as np
from jaxtyping import Bool, Float, Int

Vectors = Float[np.ndarray, "*batch 3"]
"""Points, normals, directions or colours, in any arrangement."""
Scalars = Float[np.ndarray, "*batch"]
"""A number for each of them."""
Indices = Int[np.ndarray, "*batch"]
"""An object for each of them."""
RayVectors = Float[np.ndarray, "n_rays 3"]
"""Origins or unit directions of rays."""
RayScalars = Float[np.ndarray, "n_rays"]
"""A number for each ray, often the distance along it."""
Mask = Bool[np.ndarray, "*batch"]
