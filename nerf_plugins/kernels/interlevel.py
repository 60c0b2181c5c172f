"""How far a histogram on a ray exceeds what a coarser one allows, forward and backward: one thread a ray."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})

# Keeps the gradient of intervals without weight finite; Mip-NeRF 360's.
EPSILON = wp.constant(1.0e-7)


@wp.func
def first_behind(ends: wp.array[float], first: int, end: int, t: float):
    """The first interval of ``[first, end)`` that ends behind t."""
    k = int(first)
    while k < end and ends[k] <= t:
        k = k + 1
    return k


@wp.func
def bound_within(starts: wp.array[float], weights: wp.array[float], first: int, end: int, t_end: float):
    """The weight of the intervals from ``first`` on that begin in front of ``t_end``."""
    total = float(0.0)
    k = int(first)
    while k < end and starts[k] < t_end:
        total = total + weights[k]
        k = k + 1
    return total


@wp.kernel
def interlevel_forward(
    first_ray: int,
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    weights: wp.array[float],
    packed_info: wp.array[wp.vec2i],
    proposal_starts: wp.array[float],
    proposal_ends: wp.array[float],
    proposal_weights: wp.array[float],
    proposal_info: wp.array[wp.vec2i],
    losses: wp.array[float],
):
    i = first_ray + wp.tid()
    start = packed_info[i][0]
    proposal = int(proposal_info[i][0])
    proposal_end = proposal_info[i][0] + proposal_info[i][1]
    loss = float(0.0)
    for k in range(start, start + packed_info[i][1]):
        proposal = first_behind(proposal_ends, proposal, proposal_end, t_starts[k])
        bound = bound_within(proposal_starts, proposal_weights, proposal, proposal_end, t_ends[k])
        excess = wp.max(weights[k] - bound, 0.0)
        loss = loss + excess * excess / (weights[k] + EPSILON)
    losses[i] = loss


@wp.kernel
def interlevel_backward(
    first_ray: int,
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    weights: wp.array[float],
    packed_info: wp.array[wp.vec2i],
    proposal_starts: wp.array[float],
    proposal_ends: wp.array[float],
    proposal_weights: wp.array[float],
    proposal_info: wp.array[wp.vec2i],
    grad_losses: wp.array[float],
    grad_proposal: wp.array[float],
):
    # dL/dŵ_j = −Σ over the intervals i that j touches of 2 max(w_i − bound_i, 0) / (w_i + ε)
    i = first_ray + wp.tid()
    start = packed_info[i][0]
    proposal = int(proposal_info[i][0])
    proposal_end = proposal_info[i][0] + proposal_info[i][1]
    for k in range(start, start + packed_info[i][1]):
        proposal = first_behind(proposal_ends, proposal, proposal_end, t_starts[k])
        bound = bound_within(proposal_starts, proposal_weights, proposal, proposal_end, t_ends[k])
        excess = wp.max(weights[k] - bound, 0.0)
        grad = -2.0 * excess / (weights[k] + EPSILON) * grad_losses[i]
        j = int(proposal)
        while j < proposal_end and proposal_starts[j] < t_ends[k]:
            grad_proposal[j] = grad_proposal[j] + grad
            j = j + 1
