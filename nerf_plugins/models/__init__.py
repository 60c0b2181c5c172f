"""Models: what nerfstudio trains, evaluates, renders and shows."""
