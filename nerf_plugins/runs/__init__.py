"""Runs of nerfstudio on the disk: their config and its options, their folder and checkpoints; found, checked and loaded."""
