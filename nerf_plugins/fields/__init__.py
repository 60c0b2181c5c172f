"""Fields: positions and directions in, density and colour out."""
