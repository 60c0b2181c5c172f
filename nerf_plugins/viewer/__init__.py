"""What nerfstudio's web viewer does besides its own."""
