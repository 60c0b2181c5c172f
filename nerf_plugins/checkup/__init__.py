"""`nerf-plugins doctor DATA`: a dataset, or photos without poses, read as training would; what is odd about them, and what suits them."""
