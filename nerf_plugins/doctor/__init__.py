"""`nerf-plugins doctor`: what this machine has, what each part of the package will run on, and what to do about what is missing."""
