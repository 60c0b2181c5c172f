"""Samplers: rays in, packed samples out."""
