"""Experiments of many runs: sweeps, and tables and pictures of what they reached."""
