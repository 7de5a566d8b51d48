"""The occupancy grid: which cells hold density, learnt from the field itself.

`density` (resolution, resolution, resolution) float32 is a decaying maximum of what the field said in each cell;
UNSEEN cells, which no camera sees, never count as occupied.
"""

import math

from nerf_mini.kernels.compiling import kernel, part
from nerf_mini.kernels.marching import BLOCK

UNSEEN = -1.0


@kernel
def mark_unseen(density, cube, poses, frustums):
    """Mark the cells whose surrounding ball no camera sees: poses (views, 4, 4), frustums (views, 4), see `ops`."""
    resolution = density.shape[0]
    size = cube[3] / resolution
    for i in range(resolution):
        for j in range(resolution):
            for k in range(resolution):
                x, y, z = cube[0] + (i + 0.5) * size, cube[1] + (j + 0.5) * size, cube[2] + (k + 0.5) * size
                if not _is_seen(x, y, z, 0.5 * math.sqrt(3.0) * size, poses, frustums):
                    density[i, j, k] = UNSEEN


@part
def _is_seen(x, y, z, radius, poses, frustums):
    """Whether any camera sees a part of the ball around a point."""
    for view in range(poses.shape[0]):
        pose = poses[view]
        left, right, top, bottom = frustums[view, 0], frustums[view, 1], frustums[view, 2], frustums[view, 3]
        dx, dy, dz = x - pose[0, 3], y - pose[1, 3], z - pose[2, 3]
        depth = -(pose[0, 2] * dx + pose[1, 2] * dy + pose[2, 2] * dz)
        if depth < -radius:
            continue
        across = pose[0, 0] * dx + pose[1, 0] * dy + pose[2, 0] * dz
        down = -(pose[0, 1] * dx + pose[1, 1] * dy + pose[2, 1] * dz)
        # how far the ball reaches in the picture, generously: across the ray, and nearer to the camera
        reach_x, reach_y = radius * (1.0 + right - left), radius * (1.0 + bottom - top)
        if left == -math.inf or (
            left * depth - reach_x <= across <= right * depth + reach_x
            and top * depth - reach_y <= down <= bottom * depth + reach_y
        ):
            return True
    return False


@kernel
def cell_points(first, count, stride, jitter, resolution, out_cells, out_points):
    """`count` cells of the sweep that visits cell (n stride) mod resolution^3 as its n-th, from n = `first` on.

    A random point of each, jitter (count, 3) in [0, 1), in the unit cube. With an odd stride and a resolution that is
    a power of two every cell has its turn once in resolution^3 visits.
    """
    cells = resolution**3
    for n in range(count):
        cell = (first + n) * stride % cells
        out_cells[n] = cell
        for axis in range(3):
            place = cell // resolution ** (2 - axis) % resolution
            out_points[n, axis] = (place + jitter[n, axis]) / resolution


@kernel
def update_cells(density, cells, found, decay):
    """density = max(decay density, found) in the cells given, except unseen ones. density is flat."""
    for n in range(cells.size):
        before = density[cells[n]]
        if before >= 0:
            density[cells[n]] = max(before * density.dtype.type(decay), found[n])


@kernel
def mean_density(density):
    """Over the cells that a camera sees; density is flat."""
    total, count = 0.0, 0
    for i in range(density.size):
        if density[i] >= 0:
            total += density[i]
            count += 1
    return total / max(count, 1)


@kernel
def mark_occupied(density, threshold, bits, blocks):
    """Set bits and blocks (see `marching`) where density exceeds the threshold."""
    resolution = density.shape[0]
    blocks[:] = 0
    for i in range(resolution):
        for j in range(resolution):
            row = density[i, j]
            for k in range(resolution // 8):
                byte = 0
                for b in range(8):
                    if row[8 * k + b] > threshold:
                        byte |= 1 << b
                bits[i, j, k] = byte
                if byte:
                    blocks[i // BLOCK, j // BLOCK, k * 8 // BLOCK] = 1
