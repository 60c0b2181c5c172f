"""Following rays through a grid of distances to where they meet the surface, or come near it: one thread a ray."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})

MISSED = wp.constant(wp.uint8(0))
HIT = wp.constant(wp.uint8(1))
UNSURE = wp.constant(wp.uint8(2))
# A ray with more steps than this is unsure.
MAX_STEPS = wp.constant(1024)
# Of a cell: the shortest step, and how far on both sides of a crossing the distances are that say its slope.
SHORTEST = wp.constant(0.25)
BISECTIONS = wp.constant(3)


@wp.struct
class Grid:
    """Distances at vertices by x, y, z; ``cells`` a unit along each axis, from the corner ``low``."""

    distances: wp.array3d[float]
    low: wp.vec3
    cells: wp.vec3


@wp.func
def below(place: float, n: int):
    """The vertex below a place among n vertices, so that there is one above it too."""
    return wp.clamp(int(place), 0, n - 2)


@wp.func
def between(grid: Grid, x: int, y: int, z: int, w: float):
    """Of the vertex and the next one in z."""
    return wp.lerp(grid.distances[x, y, z], grid.distances[x, y, z + 1], w)


@wp.func
def distance_at(grid: Grid, position: wp.vec3):
    """Trilinear between the vertices; outside of the grid that of its border."""
    place = wp.cw_mul(position - grid.low, grid.cells)
    nx = grid.distances.shape[0]
    ny = grid.distances.shape[1]
    nz = grid.distances.shape[2]
    px = wp.clamp(place[0], 0.0, float(nx - 1))
    py = wp.clamp(place[1], 0.0, float(ny - 1))
    pz = wp.clamp(place[2], 0.0, float(nz - 1))
    x = below(px, nx)
    y = below(py, ny)
    z = below(pz, nz)
    v = py - float(y)
    w = pz - float(z)
    here = wp.lerp(between(grid, x, y, z, w), between(grid, x, y + 1, z, w), v)
    there = wp.lerp(between(grid, x + 1, y, z, w), between(grid, x + 1, y + 1, z, w), v)
    return wp.lerp(here, there, px - float(x))


@wp.func
def crossing(grid: Grid, origin: wp.vec3, direction: wp.vec3, outside: float, inside: float):
    """Where the distance is 0 between a place outside and one that is not: bisection, and a last line through both ends."""
    low = outside
    high = inside
    d_low = distance_at(grid, origin + low * direction)
    d_high = distance_at(grid, origin + high * direction)
    for _i in range(BISECTIONS):
        middle = 0.5 * (low + high)
        distance = distance_at(grid, origin + middle * direction)
        if distance > 0.0:
            low = middle
            d_low = distance
        else:
            high = middle
            d_high = distance
    return low + (high - low) * wp.clamp(d_low / wp.max(d_low - d_high, 1.0e-12), 0.0, 1.0)


@wp.kernel
def trace_distance_grid(
    first_ray: int,
    distances: wp.array3d[float],
    aabb: wp.array[wp.vec3],
    origins: wp.array[wp.vec3],
    directions: wp.array[wp.vec3],
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    near: float,
    t_near: wp.array[float],
    t_hit: wp.array[float],
    slopes: wp.array[float],
    ends: wp.array[wp.uint8],
):
    i = first_ray + wp.tid()
    grid = Grid()
    grid.distances = distances
    grid.low = aabb[0]
    last = wp.vec3(float(distances.shape[0] - 1), float(distances.shape[1] - 1), float(distances.shape[2] - 1))
    grid.cells = wp.cw_div(last, aabb[1] - aabb[0])
    shortest = SHORTEST / wp.max(grid.cells)
    origin = origins[i]
    direction = directions[i]
    end = t_ends[i]
    t = float(t_starts[i])
    before = float(t)
    first_near = float(wp.inf)
    crossed = float(wp.inf)
    slope = float(0.0)
    how = MISSED
    n_steps = int(0)
    while t < end:
        distance = distance_at(grid, origin + t * direction)
        if distance < near:
            first_near = wp.min(first_near, t)
        elif first_near < wp.inf:
            break  # it came near, and has left again
        if distance <= 0.0:
            crossed = crossing(grid, origin, direction, before, t)
            nearer = distance_at(grid, origin + (crossed - shortest) * direction)
            farther = distance_at(grid, origin + (crossed + shortest) * direction)
            slope = (farther - nearer) / (2.0 * shortest)
            how = HIT
            break
        n_steps = n_steps + 1
        if n_steps == MAX_STEPS:
            first_near = wp.min(first_near, t)
            break
        before = t
        t = t + wp.max(distance, shortest)
    if how == MISSED and first_near < wp.inf:
        how = UNSURE
    t_near[i] = first_near
    t_hit[i] = crossed
    slopes[i] = slope
    ends[i] = how
