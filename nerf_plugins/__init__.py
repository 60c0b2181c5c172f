"""NeRF and NeuS for nerfstudio: ray marching and hash encoding as NVIDIA Warp kernels, on CUDA and on the CPU."""


def __getattr__(name: str) -> str:
    """``__version__``, as the package is installed."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("nerf-plugins")
