"""Camera paths in nerfstudio's format, made without the viewer: shapes around a point of interest, and through a dataset's poses."""
