"""Picture and mask files, read as a viewer shows them, and which of two folders' files belong together."""
