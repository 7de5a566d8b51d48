"""The occupancy grid: which cells hold density, learnt from the field itself.

`density` (levels, resolution, resolution, resolution) float32 is a decaying maximum of what the field said in each
cell; UNSEEN cells, which no camera sees or which a finer level covers, never count as occupied.
"""

import math

from nerf_mini.kernels.compiling import kernel, part

UNSEEN = -1.0


@kernel
def mark_unseen(density, cube, poses, frustums, least_views):
    """Mark the cells whose surrounding ball fewer than `least_views` cameras see, and those that a finer level covers:
    poses (views, 4, 4), frustums (views, 4), see `ops`."""
    levels, resolution = density.shape[0], density.shape[1]
    for level in range(levels):
        scale = 2.0**level
        size, margin = cube[3] * scale / resolution, 0.5 * cube[3] * (scale - 1.0)
        for i in range(resolution):
            for j in range(resolution):
                for k in range(resolution):
                    x = cube[0] - margin + (i + 0.5) * size
                    y = cube[1] - margin + (j + 0.5) * size
                    z = cube[2] - margin + (k + 0.5) * size
                    if (level > 0 and _is_inner(i, j, k, resolution)) or not _is_seen(
                        x, y, z, 0.5 * math.sqrt(3.0) * size, poses, frustums, least_views
                    ):
                        density[level, i, j, k] = UNSEEN


@part
def _is_inner(i, j, k, resolution):
    """Whether a cell lies in the cube of the level inside."""
    quarter = resolution // 4
    return (
        quarter <= i < resolution - quarter
        and quarter <= j < resolution - quarter
        and quarter <= k < resolution - quarter
    )


@part
def _is_seen(x, y, z, radius, poses, frustums, least_views):
    """Whether enough cameras see a part of the ball around a point."""
    seen = 0
    for view in range(poses.shape[0]):
        pose = poses[view]
        left, right, top, bottom = frustums[view, 0], frustums[view, 1], frustums[view, 2], frustums[view, 3]
        dx, dy, dz = x - pose[0, 3], y - pose[1, 3], z - pose[2, 3]
        depth = -(pose[0, 2] * dx + pose[1, 2] * dy + pose[2, 2] * dz)
        if depth < -radius and left != -math.inf:
            continue
        across = pose[0, 0] * dx + pose[1, 0] * dy + pose[2, 0] * dz
        down = -(pose[0, 1] * dx + pose[1, 1] * dy + pose[2, 1] * dz)
        # how far the ball reaches in the picture, generously: across the ray, and nearer to the camera
        reach_x, reach_y = radius * (1.0 + right - left), radius * (1.0 + bottom - top)
        if left == -math.inf or (
            left * depth - reach_x <= across <= right * depth + reach_x
            and top * depth - reach_y <= down <= bottom * depth + reach_y
        ):
            seen += 1
            if seen >= least_views:
                return True
    return False


@kernel
def cell_points(cells, jitter, resolution, out):
    """A random point of each cell, jitter (count, 3) in [0, 1), in units of the innermost cube from its corner; cells
    are indices into the flat grid of all levels."""
    for n in range(cells.size):
        level, cell = cells[n] // resolution**3, cells[n] % resolution**3
        scale = 2.0**level
        for axis in range(3):
            place = cell // resolution ** (2 - axis) % resolution
            if level == 0:
                out[n, axis] = (place + jitter[n, axis]) / resolution
            else:
                out[n, axis] = 0.5 + scale * ((place + jitter[n, axis]) / resolution - 0.5)


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
def mark_occupied(density, threshold, bits):
    """Set bits (see `marching`) where density exceeds the threshold."""
    levels, resolution = density.shape[0], density.shape[1]
    for level in range(levels):
        for i in range(resolution):
            for j in range(resolution):
                row = density[level, i, j]
                for k in range(resolution // 8):
                    byte = 0
                    for b in range(8):
                        if row[8 * k + b] > threshold:
                            byte |= 1 << b
                    bits[level, i, j, k] = byte
