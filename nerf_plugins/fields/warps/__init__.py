"""Warps: where a point of some time lies in the canonical scene, which does not move. A file each."""
