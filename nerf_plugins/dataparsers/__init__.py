"""Dataparsers: a file each, with its ``specification``, and an entry point in ``pyproject.toml``, which is the one list of them.

nerfstudio loads these files through the entry points while it imports its own data managers, so none of them may import a data manager or
a trainer: that would be a circle.
"""
