"""Walking rays through a cascade of occupancy grids: one kernel counts the samples of each ray, one writes them."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})

# A ray with more lattice steps than this cannot be resolved in float32; it gets no samples.
MAX_STEPS = wp.constant(4194304.0)
# A jump along the lattice lands this fraction of a step early: the cell is looked up again, so rounding skips nothing.
JUMP_SLACK = wp.constant(1.0e-3)


@wp.struct
class Ray:
    """A ray and the part of it inside the outermost box; empty where ``t_enter >= t_exit``."""

    origin: wp.vec3
    direction: wp.vec3
    t_enter: float
    t_exit: float


@wp.struct
class Sample:
    """One interval of the lattice: ``index`` and start, width; ``found`` is 0 at the end of the ray."""

    index: int
    t_start: float
    t_end: float
    found: int


@wp.func
def clip_axis(span: wp.vec2, origin: float, direction: float, low: float, high: float):
    if direction == 0.0:
        if origin < low or origin >= high:
            return wp.vec2(1.0, 0.0)
        return span
    t0 = (low - origin) / direction
    t1 = (high - origin) / direction
    return wp.vec2(wp.max(span[0], wp.min(t0, t1)), wp.min(span[1], wp.max(t0, t1)))


@wp.func
def clip_to_box(origin: wp.vec3, direction: wp.vec3, centre: wp.vec3, half: wp.vec3, near: float, far: float):
    span = wp.vec2(near, far)
    for axis in range(3):
        if span[0] < span[1]:
            low = centre[axis] - half[axis]
            high = centre[axis] + half[axis]
            span = clip_axis(span, origin[axis], direction[axis], low, high)
    return span


@wp.func
def step_at(t: float, step_size: float, cone_angle: float, max_step_size: float):
    return wp.clamp(cone_angle * t, step_size, max_step_size)


@wp.func
def load_ray(
    origin: wp.vec3,
    direction: wp.vec3,
    near: float,
    far: float,
    centre: wp.vec3,
    half: wp.vec3,
    levels: int,
    step_size: float,
):
    ray = Ray()
    ray.origin = origin
    ray.direction = direction
    ray.t_enter = 1.0
    ray.t_exit = 0.0
    usable = wp.isfinite(origin) and wp.isfinite(direction) and wp.isfinite(near) and not wp.isnan(far)
    if usable and wp.length_sq(direction) > 0.0:
        outermost = half * float(1 << (levels - 1))
        span = clip_to_box(origin, direction, centre, outermost, wp.max(near, 0.0), far)
        if span[0] < span[1] and (span[1] - span[0]) < MAX_STEPS * step_size:
            ray.t_enter = span[0]
            ray.t_exit = span[1]
    return ray


@wp.func
def level_of(position: wp.vec3, centre: wp.vec3, half: wp.vec3, levels: int):
    """The finest level whose box contains the position."""
    offset = wp.cw_div(wp.abs(position - centre), half)
    reach = wp.max(offset[0], wp.max(offset[1], offset[2]))
    level = int(0)
    size = float(1.0)
    while reach >= size and level < levels - 1:
        size = size * 2.0
        level = level + 1
    return level


@wp.func
def cell_of(position: wp.vec3, low: wp.vec3, cell: wp.vec3, resolution: wp.vec3i):
    index = wp.cw_div(position - low, cell)
    return wp.vec3i(
        wp.clamp(int(wp.floor(index[0])), 0, resolution[0] - 1),
        wp.clamp(int(wp.floor(index[1])), 0, resolution[1] - 1),
        wp.clamp(int(wp.floor(index[2])), 0, resolution[2] - 1),
    )


@wp.func
def leave_block(ray: Ray, index: wp.vec3i, log2_side: int, low: wp.vec3, cell: wp.vec3, resolution: wp.vec3i):
    """The t at which the ray crosses the far side of the aligned block of cells that holds a cell."""
    t = float(ray.t_exit)
    for axis in range(3):
        if ray.direction[axis] != 0.0:
            face = (index[axis] >> log2_side) << log2_side
            if ray.direction[axis] > 0.0:
                face = wp.min(face + (1 << log2_side), resolution[axis])
            plane = low[axis] + float(face) * cell[axis]
            t = wp.min(t, (plane - ray.origin[axis]) / ray.direction[axis])
    return t


@wp.func
def enter_finer_box(ray: Ray, t: float, level: int, centre: wp.vec3, half: wp.vec3):
    """The t at which the ray enters the box of the next finer level, where that lies ahead; else ``t_exit``."""
    if level == 0:
        return ray.t_exit
    span = clip_to_box(ray.origin, ray.direction, centre, half * float(1 << (level - 1)), t, ray.t_exit)
    if span[0] < span[1]:
        return span[0]
    return ray.t_exit


@wp.func
def jump(sample: Sample, t_target: float, t_first: float, step_size: float, cone_angle: float, max_step_size: float):
    """The first interval after this one whose midpoint is not before ``t_target``."""
    result = Sample()
    result.found = 0
    if cone_angle == 0.0:
        wanted = wp.ceil((t_target - t_first) / step_size - 0.5 - JUMP_SLACK)
        result.index = wp.max(sample.index + 1, int(wp.min(wanted, 2.0 * MAX_STEPS)))
        result.t_start = t_first + float(result.index) * step_size
        result.t_end = t_first + float(result.index + 1) * step_size
        return result
    index = sample.index + 1
    t_start = sample.t_end
    t_end = t_start + step_at(t_start, step_size, cone_angle, max_step_size)
    slack = JUMP_SLACK * (t_end - t_start)
    while 0.5 * (t_start + t_end) < t_target - slack and float(index) < MAX_STEPS:
        index = index + 1
        t_start = t_end
        t_end = t_start + step_at(t_start, step_size, cone_angle, max_step_size)
    result.index = index
    result.t_start = t_start
    result.t_end = t_end
    return result


@wp.func
def first_interval(ray: Ray, jitter: float, step_size: float, cone_angle: float, max_step_size: float):
    sample = Sample()
    sample.index = 0
    sample.t_start = ray.t_enter + jitter * step_at(ray.t_enter, step_size, cone_angle, max_step_size)
    sample.t_end = sample.t_start + step_at(sample.t_start, step_size, cone_angle, max_step_size)
    sample.found = 0
    return sample


@wp.func
def seek(
    ray: Ray,
    candidate: Sample,
    t_first: float,
    occupancy: wp.array4d[wp.uint8],
    empty_blocks: wp.array4d[wp.uint8],
    centre: wp.vec3,
    half: wp.vec3,
    step_size: float,
    cone_angle: float,
    max_step_size: float,
):
    """From a candidate interval on, the first one whose midpoint lies in an occupied cell."""
    sample = candidate
    levels = occupancy.shape[0]
    resolution = wp.vec3i(occupancy.shape[1], occupancy.shape[2], occupancy.shape[3])
    t_mid = 0.5 * (sample.t_start + sample.t_end)
    while t_mid < ray.t_exit and sample.found == 0 and float(sample.index) < MAX_STEPS:
        position = ray.origin + t_mid * ray.direction
        level = level_of(position, centre, half, levels)
        box = half * float(1 << level)
        low = centre - box
        cell = wp.vec3(
            2.0 * box[0] / float(resolution[0]),
            2.0 * box[1] / float(resolution[1]),
            2.0 * box[2] / float(resolution[2]),
        )
        index = cell_of(position, low, cell, resolution)
        if occupancy[level, index[0], index[1], index[2]] != wp.uint8(0):
            sample.found = 1
        else:
            log2_side = int(empty_blocks[level, index[0], index[1], index[2]])
            t_target = leave_block(ray, index, log2_side, low, cell, resolution)
            t_target = wp.min(t_target, enter_finer_box(ray, t_mid, level, centre, half))
            sample = jump(sample, t_target, t_first, step_size, cone_angle, max_step_size)
            t_mid = 0.5 * (sample.t_start + sample.t_end)
    return sample


@wp.kernel
def count_samples(
    first_ray: int,
    origins: wp.array[wp.vec3],
    directions: wp.array[wp.vec3],
    nears: wp.array[float],
    fars: wp.array[float],
    jitter: wp.array[float],
    occupancy: wp.array4d[wp.uint8],
    empty_blocks: wp.array4d[wp.uint8],
    aabb: wp.array[wp.vec3],
    step_size: float,
    cone_angle: float,
    max_step_size: float,
    max_samples_per_ray: int,
    counts: wp.array[int],
):
    i = first_ray + wp.tid()
    centre = 0.5 * (aabb[0] + aabb[1])
    half = 0.5 * (aabb[1] - aabb[0])
    ray = load_ray(origins[i], directions[i], nears[i], fars[i], centre, half, occupancy.shape[0], step_size)
    count = int(0)
    if ray.t_enter < ray.t_exit:
        sample = first_interval(ray, jitter[i], step_size, cone_angle, max_step_size)
        t_first = sample.t_start
        sample = seek(ray, sample, t_first, occupancy, empty_blocks, centre, half, step_size, cone_angle, max_step_size)
        while sample.found == 1 and count < max_samples_per_ray:
            count = count + 1
            sample = jump(sample, 0.0, t_first, step_size, cone_angle, max_step_size)
            sample = seek(
                ray, sample, t_first, occupancy, empty_blocks, centre, half, step_size, cone_angle, max_step_size
            )
    counts[i] = count


@wp.kernel
def write_samples(
    first_ray: int,
    origins: wp.array[wp.vec3],
    directions: wp.array[wp.vec3],
    nears: wp.array[float],
    fars: wp.array[float],
    jitter: wp.array[float],
    occupancy: wp.array4d[wp.uint8],
    empty_blocks: wp.array4d[wp.uint8],
    aabb: wp.array[wp.vec3],
    step_size: float,
    cone_angle: float,
    max_step_size: float,
    packed_info: wp.array[wp.vec2i],
    ray_indices: wp.array[int],
    t_starts: wp.array[float],
    t_ends: wp.array[float],
):
    i = first_ray + wp.tid()
    start = packed_info[i][0]
    count = packed_info[i][1]
    if count == 0:
        return
    centre = 0.5 * (aabb[0] + aabb[1])
    half = 0.5 * (aabb[1] - aabb[0])
    ray = load_ray(origins[i], directions[i], nears[i], fars[i], centre, half, occupancy.shape[0], step_size)
    sample = first_interval(ray, jitter[i], step_size, cone_angle, max_step_size)
    t_first = sample.t_start
    for k in range(count):
        sample = seek(ray, sample, t_first, occupancy, empty_blocks, centre, half, step_size, cone_angle, max_step_size)
        ray_indices[start + k] = i
        t_starts[start + k] = sample.t_start
        t_ends[start + k] = sample.t_end
        sample = jump(sample, 0.0, t_first, step_size, cone_angle, max_step_size)
