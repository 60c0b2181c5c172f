"""`nerf-plugins eval-mesh`: how near a mesh is to what it should be."""
