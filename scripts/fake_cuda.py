"""Fake CUDA: torch's operations on tensors that say they are on a GPU and have no data, so that a machine without one can record a step.

What would be launched, what would make the host wait for the device, and what it would move and multiply is recorded; nothing is computed.
Shapes and dtypes are those of a real run, values are not, so nothing may depend on them: that is the point.
"""

from __future__ import annotations

import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

# They ask the device how long their result is.
_SIZED_BY_VALUES = {"nonzero", "masked_select", "_unique", "_unique2", "unique_dim", "unique_consecutive", "bincount"}
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
# No kernel: descriptors, or memory alone.
_NO_KERNEL = {
    "empty",
    "empty_like",
    "new_empty",
    "empty_strided",
    "new_empty_strided",
    "_unsafe_view",
    "resize_",
    "set_",
}
_NO_KERNEL |= {"is_pinned", "record_stream", "lift_fresh", "_local_scalar_dense"}
# Torch counts those of a product with a bias, not those of one whose positive part is taken at once.
_FLOPS = {**flop_registry, torch.ops.aten._addmm_activation: flop_registry[torch.ops.aten.addmm]}
# Stands for the length of what is sized by values.
_SOME = 8


@dataclass(frozen=True)
class Operation:
    """One of torch's operations on the device, or one launch of a Warp kernel."""

    phase: str
    name: str
    n_bytes: int
    """Of what it reads and writes."""
    flops: int
    """Of matrix products."""
    dtype: torch.dtype | None
    """Of its first result."""
    place: str
    """The line of the package that called it; in the backward pass, the node of autograd's graph."""


@dataclass
class Record:
    """What a step did."""

    operations: list[Operation] = field(default_factory=list)
    waits: Counter[str] = field(default_factory=Counter)
    """What made the host wait for the device, with its place -> how often."""
    without_gradient: list[str] = field(default_factory=list)
    """Names of parameters to be learnt that got none."""
    phase: str = "callbacks"
    """What the next operations belong to."""

    def launches(self) -> dict[str, int]:
        """By phase."""
        return dict(Counter(operation.phase for operation in self.operations))


class Recorder(TorchDispatchMode):
    """Sees every operation of torch's, the backward pass's too. To be entered inside of a FakeTensorMode.

    Args:
        record: what is seen goes there.
        number: what a number that is read on the host is; one on the device as well, after that was recorded.
    """

    def __init__(self, record: Record, number: float) -> None:
        super().__init__()
        self.record = record
        self.number = number
        self._pinned: dict[int, Tensor] = {}  # kept, so that no other tensor gets its id

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.partition("::")[2]
        inputs = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        on_device = any(value.device.type == "cuda" for value in inputs)
        if name == "_local_scalar_dense":
            return self._read_number(func, args, kwargs)
        if name == "_pin_memory":
            pinned = torch.empty_like(args[0])
            self._pinned[id(pinned)] = pinned
            return pinned
        self._look_for_waits(name, args, kwargs, on_device)
        result = self._result_sized_by_values(func, name, args) if on_device else None
        result = func(*args, **kwargs) if result is None else result
        outputs = [value for value in tree_leaves(result) if isinstance(value, Tensor)]
        if (on_device or any(value.device.type == "cuda" for value in outputs)) and _launches(func, name):
            count_flops = _FLOPS.get(func._overloadpacket, lambda *_, **__: 0)
            operation = Operation(
                self.record.phase,
                name,
                n_bytes=sum(_n_bytes(value) for value in [*inputs, *outputs]),
                flops=count_flops(*args, **kwargs, out_val=result),
                dtype=outputs[0].dtype if outputs else None,
                place=_place(),
            )
            self.record.operations.append(operation)
        return result

    def _read_number(self, func: Any, args: Any, kwargs: Any) -> Any:
        if not isinstance(args[0], FakeTensor):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if args[0].device.type == "cuda":
            self._wait("a number is read back")
        dtype = args[0].dtype
        return (
            bool(self.number) if dtype == torch.bool else self.number if dtype.is_floating_point else int(self.number)
        )

    def _look_for_waits(self, name: str, args: Any, kwargs: Any, on_device: bool) -> None:
        if name == "_to_copy":
            self._look_at_copy(
                args[0], torch.device(kwargs.get("device") or args[0].device), bool(kwargs.get("non_blocking"))
            )
        elif name == "copy_" and args[0].device.type != args[1].device.type:
            self._look_at_copy(
                args[1], args[0].device, bool(args[2]) if len(args) > 2 else bool(kwargs.get("non_blocking"))
            )
        elif not on_device:
            return
        elif name in _SIZED_BY_VALUES or (name == "repeat_interleave" and kwargs.get("output_size") is None):
            self._wait(f"{name}: its result's length is read back")
        elif name == "equal":
            self._wait("equal: its result is read back")
        elif name in _INDEXING:
            for index in args[1]:
                if index is not None and index.dtype in (torch.bool, torch.uint8):
                    self._wait(f"{name} by a mask: its length is read back")
                elif index is not None and index.device.type == "cpu":
                    self._wait(f"{name} by indices on the host")

    def _look_at_copy(self, source: Tensor, target: torch.device, non_blocking: bool) -> None:
        """Torch copies into pinned memory where ``to("cpu")`` does not block; into the device from pageable memory it always waits."""
        if source.device.type == "cuda" and target.type == "cpu" and not non_blocking:
            self._wait("copied to the host")
        if source.device.type == "cpu" and target.type == "cuda" and not (id(source) in self._pinned and non_blocking):
            self._wait("copied from pageable memory of the host")

    def _result_sized_by_values(self, func: Any, name: str, args: Any) -> Any:
        """Of some length, where FakeTensorMode would refuse to say one."""

        def some(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.empty(shape, dtype=dtype, device="cuda")

        if name == "nonzero":
            return some(_SOME, args[0].ndim)
        if name == "equal":
            return True
        if name == "masked_select":
            return some(_SOME, dtype=args[0].dtype)
        if name in _SIZED_BY_VALUES:
            return tuple(
                some(_SOME, dtype=args[0].dtype if i == 0 else torch.int64) for i in range(len(func._schema.returns))
            )
        if name == "repeat_interleave" and len(func._schema.arguments) and func._overloadname == "Tensor":
            return some(_SOME)
        if name == "index" and any(index is not None and index.dtype == torch.bool for index in args[1]):
            mask = next(index for index in args[1] if index is not None)
            return some(_SOME, *args[0].shape[mask.ndim :], dtype=args[0].dtype)
        return None

    def _wait(self, what: str) -> None:
        self.record.waits[f"{what} ({_place()})"] += 1


def _launches(func: Any, name: str) -> bool:
    """Whether an operation is more than a view or a piece of memory."""
    returns = func._schema.returns
    is_view = bool(returns) and all(r.alias_info is not None and not r.alias_info.is_write for r in returns)
    return func.namespace == "aten" and not is_view and name not in _NO_KERNEL


def _n_bytes(tensor: Tensor) -> int:
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def _set_materialize_grads(node: Any, value: bool) -> None:
    """Of an autograd.Function's context, which is its node; torch lets nobody read it."""
    node.materialize_grads = value
    node.takes_none = not value


_nodes: list[str] = []
"""Of the backward pass that is being taken."""


def _place() -> str:
    """The innermost line of the package, or else of nerfstudio, that is being run; after a node of the backward pass, its name."""
    if _nodes:
        return _nodes[-1]
    here = Path(__file__).parent
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename)
        if path.parent != here and ("nerf_plugins" in path.parts or "nerfstudio" in path.parts):
            first = max(i for i, part in enumerate(path.parts) if part in ("nerf_plugins", "nerfstudio"))
            return f"{'/'.join(path.parts[first:])}:{frame.lineno}"
    return "torch"


class FakeEvent:
    """In place of torch.cuda.Event: what it stands for has always happened."""

    def record(self, *_: Any) -> None:
        """Does nothing."""

    def query(self) -> bool:
        """True."""
        return True


def backward(loss: Tensor) -> None:
    """``loss.backward()`` by calling the graph's nodes one after the other; torch's engine wants a device.

    As the engine does, it sums what was broadcast, casts, adds up what reaches a node twice, and lets a parameter keep its first gradient.
    """
    root = loss.grad_fn
    assert root is not None
    n_open = _count_uses(root)
    collected: dict[Any, dict[int, Tensor]] = defaultdict(dict)
    collected[root][0] = torch.ones_like(loss)
    ready = [root]
    with torch.no_grad():
        while ready:
            node = ready.pop()
            _nodes.append(type(node).__name__)
            grads = _call(node, collected.pop(node, {}))
            for (following, number), grad in zip(node.next_functions, grads):
                if following is None:
                    continue
                if grad is not None:
                    into, metadata = collected[following], following._input_metadata[number]
                    grad = _as_the_input(grad, metadata)
                    into[number] = into[number] + grad if number in into else grad
                n_open[following] -= 1
                if n_open[following] == 0:
                    ready.append(following)
            _nodes.pop()


def _count_uses(root: Any) -> Counter[Any]:
    """How many gradients each node of the graph waits for."""
    uses: Counter[Any] = Counter()
    seen, unseen = {root}, [root]
    while unseen:
        for node, _ in unseen.pop().next_functions:
            if node is not None:
                uses[node] += 1
                if node not in seen:
                    seen.add(node)
                    unseen.append(node)
    return uses


def _call(node: Any, collected: dict[int, Tensor]) -> tuple[Tensor | None, ...]:
    """The gradients that a node passes on."""
    grads = [collected.get(i) for i in range(len(node._input_metadata))]
    if type(node).__name__ == "AccumulateGrad":
        parameter, grad = node.variable, grads[0]
        if grad is not None:
            parameter.grad = (
                (grad if grad.is_contiguous() else grad.clone()) if parameter.grad is None else parameter.grad + grad
            )
        return ()
    if all(grad is None for grad in grads):
        return (None,) * len(node.next_functions)
    # An autograd.Function gets zeros for what has no gradient, unless it takes None.
    if isinstance(node, torch.autograd.function.BackwardCFunction):
        takes_none = getattr(node, "takes_none", False)
        filled = [
            torch.zeros(metadata.shape, dtype=metadata.dtype, device=metadata.device)
            if grad is None and not takes_none
            else grad
            for grad, metadata in zip(grads, node._input_metadata)  # type: ignore[attr-defined]
        ]
        result = node.apply(*filled)
    else:
        result = node(*grads)
    return result if isinstance(result, tuple) else (result,)


def _as_the_input(grad: Tensor, metadata: Any) -> Tensor:
    if tuple(grad.shape) != tuple(metadata.shape):
        grad = grad.sum_to_size(tuple(metadata.shape))
    return grad.to(metadata.dtype)


def move_to_fake_cuda(module: nn.Module) -> None:
    """Replaces parameters and buffers by fake ones on CUDA, each tensor by one wherever it is used. In a FakeTensorMode."""
    made: dict[int, Tensor] = {}

    def fake(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")
            is_parameter = isinstance(tensor, nn.Parameter)
            made[id(tensor)] = nn.Parameter(empty, requires_grad=tensor.requires_grad) if is_parameter else empty
        return made[id(tensor)]

    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            tensors: dict[str, Any]
            for name, tensor in tensors.items():
                if tensor is not None:
                    tensors[name] = fake(tensor)


@contextmanager
def replaced(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """Sets (object, attribute, value), and puts back what was there."""
    before = [(target, name, getattr(target, name)) for target, name, _ in changes]
    try:
        for target, name, value in changes:
            setattr(target, name, value)
        yield
    finally:
        for target, name, value in reversed(before):
            setattr(target, name, value)


@contextmanager
def fake_cuda(record: Record, number: float) -> Iterator[None]:
    """Inside, ``device="cuda"`` makes fake tensors, and what is done with them is recorded: kernels of this package too.

    Args:
        record: what is seen goes there.
        number: what a number that is read on the host is.
    """
    import torch.optim.optimizer as optimizers

    from nerf_plugins.kernels import launch as launching

    def launch(kernel: Any, n_items: int, inputs: Any, device: torch.device, n_pieces: int | None = None) -> None:
        tensors = [value[0] if isinstance(value, tuple) else value for value in inputs]
        tensors = [value for value in tensors if isinstance(value, Tensor)]
        assert all(tensor.is_cuda and tensor.is_contiguous() for tensor in tensors)
        n_bytes = sum(_n_bytes(tensor) for tensor in tensors)
        record.operations.append(Operation(record.phase, f"warp {kernel.key}", n_bytes, 0, None, _place()))

    changes: list[tuple[Any, str, Any]] = [
        (launching, "launch", launch),
        (torch.cuda, "Event", FakeEvent),
        (torch.cuda, "get_device_capability", lambda *_: (9, 0)),
        (torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
        (Tensor, "backward", lambda self: backward(self)),
        (torch.autograd.function.FunctionCtx, "set_materialize_grads", _set_materialize_grads),
        # Optimisers take their passes over all parameters for plain tensors only.
        (optimizers, "_foreach_supported_types", [*optimizers._foreach_supported_types, FakeTensor]),
    ]
    with replaced(*changes), FakeTensorMode(allow_non_fake_inputs=True), Recorder(record, number):
        yield


def in_phase(record: Record, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose operations are those of a phase."""

    def call(*args: Any, **kwargs: Any) -> Any:
        before, record.phase = record.phase, phase
        try:
            return function(*args, **kwargs)
        finally:
            record.phase = before

    return call
