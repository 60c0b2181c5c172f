"""The libraries of the system that nerfstudio's dependencies load."""

import ctypes
import importlib

from nerf_plugins.doctor.findings import Finding, Status, first_line

# Modules with libraries of the system below them, and who imports them.
_MODULES_WITH_LIBRARIES = {
    "cv2": "every ns-* command",
    "open3d": "ns-export and point clouds",
    "pymeshlab": "ns-export's meshes",
}
_APT_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libgomp.so.1": "libgomp1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libidn2.so.0": "libidn2-0",
    "libudev.so.1": "libudev1",
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libxcb.so.1": "libxcb1",
}


def probe_libraries(name: str) -> Finding:
    """The libraries of the system that nerfstudio's dependencies load."""
    broken = missing_libraries()
    if not broken:
        return Finding(name, "ok", f"{', '.join(_MODULES_WITH_LIBRARIES)} can be imported")
    status: Status = "broken" if "cv2" in broken else "missing"
    detail = "; ".join(f"{module} ({_MODULES_WITH_LIBRARIES[module]}): {error}" for module, error in broken.items())
    return Finding(name, status, detail, _library_advice())


def missing_libraries() -> dict[str, str]:
    """The modules that cannot be imported for want of a library of the system, each with the error."""
    broken = {}
    for module in _MODULES_WITH_LIBRARIES:
        try:
            importlib.import_module(module)
        except Exception as error:
            broken[module] = first_line(error)
    return broken


def print_missing_libraries() -> None:
    """Says in one line what :func:`missing_libraries` found; prints nothing where all is well."""
    broken = missing_libraries()
    if broken:
        print(f"{'; '.join(f'{module}: {error}' for module, error in broken.items())}. {_library_advice()}")


def _library_advice() -> str:
    packages = []
    for library, package in _APT_PACKAGES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            packages.append(package)
    if not packages:
        return "reinstall: pip install --force-reinstall opencv-python-headless open3d pymeshlab"
    needed_by = ", ".join(f"{module} for {user}" for module, user in _MODULES_WITH_LIBRARIES.items())
    return f"Debian, Ubuntu: apt-get install {' '.join(packages)} ({needed_by})"
