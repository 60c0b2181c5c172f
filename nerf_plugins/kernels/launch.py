"""Launching Warp kernels on torch tensors: on torch's stream on CUDA, over torch's threads on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch
import warp as wp
from torch import Tensor

# Below this many threads of a kernel a second core costs more than it gives.
_MIN_ITEMS_A_PIECE = 256
# More pieces than threads, since rays differ in length.
_PIECES_A_THREAD = 4

_loaded: set[wp.Kernel] = set()


@lru_cache(maxsize=1)
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="nerf-plugins-kernel")


def _argument(value: Any) -> Any:
    """Tensors become Warp array descriptors that share their memory; a float ``(n, 3)`` tensor an array of ``vec3``, a pair (tensor,
    dtype) an array of that dtype.
    """
    dtype = None
    if isinstance(value, tuple):
        value, dtype = value
    if not isinstance(value, Tensor):
        return value
    if dtype is not None:
        pass
    elif value.dtype == torch.float32 and value.ndim == 2 and value.shape[1] == 3:
        dtype = wp.vec3
    elif value.dtype == torch.int32 and value.ndim == 2 and value.shape[1] == 2:
        dtype = wp.vec2i
    elif value.dtype == torch.bool:
        value = value.view(torch.uint8)
    return wp.from_torch(value.detach(), dtype=dtype, requires_grad=False, return_ctype=True)


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
    arguments = [_argument(value) for value in inputs]
    if device.type == "cuda":
        stream = wp.stream_from_torch(torch.cuda.current_stream(device))
        wp.launch(kernel, dim=n_items, inputs=[0, *arguments], stream=stream)
        return
    n_threads = torch.get_num_threads()
    if n_pieces is None:
        n_pieces = min(n_threads * _PIECES_A_THREAD, n_items // _MIN_ITEMS_A_PIECE)
    if n_pieces < 2 or n_threads < 2:
        wp.launch(kernel, dim=n_items, inputs=[0, *arguments], device="cpu")
        return
    edges = [n_items * i // n_pieces for i in range(n_pieces + 1)]

    def run(piece: int) -> None:
        first, last = edges[piece], edges[piece + 1]
        wp.launch(kernel, dim=last - first, inputs=[first, *arguments], device="cpu")

    first_piece = 0
    if kernel not in _loaded:  # compile and load the module before several threads ask for it
        run(0)
        _loaded.add(kernel)
        first_piece = 1
    list(_pool(n_threads).map(run, range(first_piece, n_pieces)))
