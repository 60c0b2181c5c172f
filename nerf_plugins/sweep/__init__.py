"""`nerf-plugins sweep`: trains the runs of a recipe."""
