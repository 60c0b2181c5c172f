"""Vanilla NeRF for nerfstudio, with ray marching kernels in NVIDIA Warp."""

__version__ = "0.1.0"
