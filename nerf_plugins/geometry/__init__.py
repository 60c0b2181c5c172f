"""Surfaces against each other: points on them, what cameras see of them, distances between them (numpy and scipy)."""
