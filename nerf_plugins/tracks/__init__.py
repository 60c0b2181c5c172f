"""``nerf-plugins tracks``: where surface points of a moving scene are at other times."""
