"""`nerf-plugins process-data`: from photos or a video to a dataset, and the command that trains on it."""
