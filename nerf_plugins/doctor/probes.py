"""All that the doctor looks at, in the order of the table."""

from nerf_plugins.doctor.devices import (
    REINSTALL_WARP,
    probe_cpu,
    probe_cuda,
    probe_precision,
    probe_python,
    probe_threads,
    probe_torch,
    probe_warp,
)
from nerf_plugins.doctor.findings import Probe
from nerf_plugins.doctor.libraries import probe_libraries
from nerf_plugins.doctor.methods import probe_nerfstudio
from nerf_plugins.doctor.optional import INSTALL_FFMPEG, probe_ffmpeg, probe_lpips, probe_nerfacc, probe_tinycudann

PROBES = (
    Probe("Python", probe_python, required=True),
    Probe("torch", probe_torch, required=True, advice="reinstall it: pip install --force-reinstall torch"),
    Probe("CUDA devices", probe_cuda),
    Probe("Warp", probe_warp, required=True, advice=REINSTALL_WARP),
    Probe("ffmpeg", probe_ffmpeg, advice=INSTALL_FFMPEG),  # before our methods put the wheel's on the PATH
    Probe("nerfstudio", probe_nerfstudio, required=True, advice="reinstall the package: pip install -e ."),
    Probe("system libraries", probe_libraries),
    Probe("tinycudann", probe_tinycudann, advice="nothing to do: it is optional; pip uninstall tinycudann stops this"),
    Probe("nerfacc", probe_nerfacc),
    Probe("LPIPS weights", probe_lpips),
    Probe("CPU bf16", probe_cpu),
    Probe("CPU threads", probe_threads),
    Probe("field precision", probe_precision),
)
