"""`nerf-plugins metrics`: tables, plots and pictures of what many runs reached."""
