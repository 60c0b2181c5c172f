"""nerfstudio's trainer and pipeline with checkpoints that survive a kill, and errors of one line."""
