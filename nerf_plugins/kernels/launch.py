"""Launching Warp kernels on torch tensors: on torch's stream on CUDA, over torch's threads on the CPU."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
import warp as wp
from torch import Tensor

from nerf_plugins.kernels.undisturbed import undisturbed, untraced

# Below this many threads of a kernel a second core costs more than it gives.
_MIN_ITEMS_A_PIECE = 256
# More pieces than threads, since rays differ in length.
_PIECES_A_THREAD = 4

_of_thread = threading.local()


@lru_cache(maxsize=1)
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="nerf-plugins-kernel")


@lru_cache
def _stream(device: torch.device, handle: int) -> wp.Stream:
    """Warp's name for one of torch's streams."""
    return wp.Stream(wp.device_from_torch(device), cuda_stream=handle)


def _describe(value: Tensor | tuple[Tensor, Any]) -> Any:
    """Warp's descriptor of an array that shares a tensor's memory; of ``vec3`` for a float ``(n, 3)`` tensor, for a pair (tensor, dtype)
    of that dtype.
    """
    dtype = None
    if isinstance(value, tuple):
        value, dtype = value
    if dtype is not None:
        pass
    elif value.dtype == torch.float32 and value.ndim == 2 and value.shape[1] == 3:
        dtype = wp.vec3
    elif value.dtype == torch.int32 and value.ndim == 2 and value.shape[1] == 2:
        dtype = wp.vec2i
    elif value.dtype == torch.bool:
        value = value.view(torch.uint8)
    return wp.from_torch(value.detach(), dtype=dtype, requires_grad=False, return_ctype=True)


class _RecordedLaunch:
    """A launch of a kernel that is repeated with other arguments of the same types.

    Warp takes some 40 microseconds to check and pack the arguments of a launch, and eight to describe a tensor; a repeated launch keeps the
    descriptors and changes what they say.
    """

    def __init__(self, kernel: wp.Kernel, n_items: int, arguments: Sequence[Any], device: Any) -> None:
        packed = [_describe(value) if isinstance(value, (Tensor, tuple)) else value for value in arguments]
        self.command = wp.launch(kernel, dim=n_items, inputs=packed, device=device, record_cmd=True)
        for descriptor in packed:
            if hasattr(descriptor, "_ref"):
                descriptor._ref = None  # Warp's hold on the tensor; who launches holds it
        self.descriptors = packed
        self.shapes: list[Any] = [None] * len(packed)

    def run(self, n_items: int, arguments: Sequence[Any], stream: wp.Stream | None) -> None:
        """Launches it for ``n_items`` threads."""
        for i, value in enumerate(arguments):
            if isinstance(value, (Tensor, tuple)):
                self._point_at(i, value)
            else:
                self.command.set_param_at_index_from_ctype(i, value)
        self.command.set_dim(n_items)
        self.command.launch(stream)

    def _point_at(self, i: int, value: Tensor | tuple[Tensor, Any]) -> None:
        tensor = value[0] if isinstance(value, tuple) else value
        descriptor = self.descriptors[i]
        if tensor.shape != self.shapes[i]:
            if descriptor.ndim == 1:
                descriptor.shape[0] = tensor.shape[0]
                # Of a single number torch takes any stride for contiguous, that of an expanded one is 0.
                descriptor.strides[0] = tensor.stride(0) * tensor.element_size()
            else:
                ctypes.pointer(descriptor)[0] = _describe(value)
            self.shapes[i] = tensor.shape
        descriptor.data = tensor.data_ptr()


def _run(
    kernel: wp.Kernel, n_items: int, arguments: Sequence[Any], device: Any, stream: wp.Stream | None = None
) -> None:
    """Launches a kernel; each thread of the process repeats launches of its own."""
    recorded: dict[Any, _RecordedLaunch] = _of_thread.__dict__.setdefault("recorded", {})
    key = (kernel, device)
    if key not in recorded:
        with undisturbed():  # the first of several threads compiles and loads the module
            recorded[key] = _RecordedLaunch(kernel, n_items, arguments, device)
    recorded[key].run(n_items, arguments, stream)


def launch(kernel: Any, n_items: int, inputs: Sequence[Any], device: torch.device, n_pieces: int | None = None) -> None:
    """Runs ``kernel(first_item, *inputs)`` for ``n_items`` threads.

    Args:
        kernel: a Warp kernel; its first argument is the index of the launch's first thread.
        n_items: number of threads; 0 launches nothing.
        inputs: contiguous tensors on ``device`` and Python scalars. The kernel writes into the tensors in place.
        device: where to run. On CUDA the launch is asynchronous, on torch's current stream.
        n_pieces: into how many even pieces the threads share the launch on the CPU; a divisor of ``n_items`` keeps what writes to one
            place in one piece. None: as many as pay.
    """
    if n_items == 0:
        return
    with untraced():  # also a pool of threads that is broken off may keep a lock
        if device.type == "cuda":
            stream = _stream(device, torch.cuda.current_stream(device).cuda_stream)
            _run(kernel, n_items, [0, *inputs], stream.device, stream)
        else:
            _launch_on_cpu(kernel, n_items, inputs, n_pieces)


def _launch_on_cpu(kernel: Any, n_items: int, inputs: Sequence[Any], n_pieces: int | None) -> None:
    n_threads = torch.get_num_threads()
    if n_pieces is None:
        n_pieces = min(n_threads * _PIECES_A_THREAD, n_items // _MIN_ITEMS_A_PIECE)
    if n_pieces < 2 or n_threads < 2:
        _run(kernel, n_items, [0, *inputs], "cpu")
        return
    edges = [n_items * i // n_pieces for i in range(n_pieces + 1)]
    pieces = iter(list(pairwise(edges)))

    def run(pieces: Iterable[tuple[int, int]]) -> None:
        for first, last in pieces:
            _run(kernel, last - first, [first, *inputs], "cpu")

    # This thread works too: torch's others still spin on their CPUs after the last operation, and one more would only be in their way.
    others = [_pool(n_threads - 1).submit(run, pieces) for _ in range(n_threads - 1)]
    try:
        run(pieces)
    finally:
        for other in others:
            other.result()
