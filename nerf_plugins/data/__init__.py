"""nerfstudio's data manager with checks of the input, centre crop and alpha."""
