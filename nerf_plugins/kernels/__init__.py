"""NVIDIA Warp kernels: small functions composed into one kernel a job. No torch, no autograd.

Warp compiles them at first use: NVRTC for CUDA, the bundled LLVM for the CPU. Every kernel takes ``first_ray`` (or
``first_item``): the thread index it starts from, so that :mod:`nerf_plugins.kernels.launch` can split a CPU launch over threads.
Kernels check nothing: the ops do.
"""

import warp as wp

if wp.config.log_level == wp.LOG_INFO:  # the default: leave another choice of the user alone
    wp.config.log_level = wp.LOG_ERROR  # without a driver Warp warns at init; that is a machine without a GPU, no fault
    wp.init()
    wp.config.log_level = wp.LOG_WARNING
