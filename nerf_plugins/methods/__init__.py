"""The methods: a file each. ``pyproject.toml`` names them to nerfstudio, in its entry points."""

from nerf_plugins.files.ffmpeg import ensure_ffmpeg

ensure_ffmpeg()  # ns-render writes videos; nothing of ours runs before it but this import
