"""Meshes of what a model has learnt: marching cubes, cleaning, files."""
