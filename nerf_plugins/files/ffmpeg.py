"""An ``ffmpeg`` for ns-render: the system's where there is one, else the one that the imageio-ffmpeg wheel carries.

nerfstudio asks ``shutil.which("ffmpeg")`` before it renders, and mediapy does so when it writes. The wheel's binary has
another name, so a link named ``ffmpeg`` is put on the process's ``PATH``. No module of either is imported or changed.
"""

import atexit
import hashlib
import os
import shutil
import tempfile
from pathlib import Path


def ensure_ffmpeg() -> str | None:
    """Makes ``ffmpeg`` resolve in this process and its children; does nothing where it already does.

    Returns:
        The path of ``ffmpeg``, or None where there is none to be had. Raises nothing: it runs when the plugin is
        imported, before any nerfstudio command.
    """
    try:
        found = shutil.which("ffmpeg")
        if found is None:
            directory = str(_link(bundled_ffmpeg()).parent)
            # At the end, so that nothing is shadowed. An empty entry would mean the current directory.
            path = os.environ.get("PATH", os.defpath)
            os.environ["PATH"] = f"{path}{os.pathsep}{directory}" if path else directory
            found = shutil.which("ffmpeg")
        return found
    except Exception:
        return None


def bundled_ffmpeg() -> Path:
    """The binary of the imageio-ffmpeg wheel, or the one that ``IMAGEIO_FFMPEG_EXE`` names.

    Raises:
        RuntimeError: there is no binary that runs.
        ImportError: the wheel is not installed.
    """
    import imageio_ffmpeg

    return Path(imageio_ffmpeg.get_ffmpeg_exe()).resolve()


def _link(executable: Path) -> Path:
    """A link named ``ffmpeg`` to ``executable``: in the user's cache, or where that is read-only for this process."""
    name = "ffmpeg" + (executable.suffix if os.name == "nt" else "")
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nerf-plugins"
        # Environments have binaries of their own, so the name of the directory is that of the binary.
        link = cache / hashlib.sha256(str(executable).encode()).hexdigest()[:16] / name
        if link.exists():
            return link
        link.parent.mkdir(parents=True, exist_ok=True)
        return _place(executable, link)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        directory = Path(tempfile.mkdtemp(prefix="nerf-plugins-"))
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        return _place(executable, directory / name)


def _place(executable: Path, link: Path) -> Path:
    # Several commands may start at once: each makes its own link, the renaming is atomic.
    temporary = link.with_name(f"{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(executable)
    except OSError:
        shutil.copy2(executable, temporary)  # Windows lets only some users make links
    os.replace(temporary, link)
    return link
