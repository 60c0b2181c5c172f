"""What the C++ texts inside Warp kernels have in common."""

ON_CUDA = "defined(__CUDA_ARCH__)"
"""Condition of the preprocessor: this is compiled for CUDA, not for the CPU."""
