"""The occupancy grid: which cells hold density, learnt from the field itself.

`density` (resolution, resolution, resolution) float32 is a decaying maximum of what the field said in each cell;
UNSEEN cells, which no camera sees, never count as occupied.
"""

import math

from nerf_mini.kernels.compiling import kernel
from nerf_mini.kernels.marching import BLOCK

UNSEEN = -1.0


@kernel
def mark_unseen(density, cube, poses, intrinsics, margin):
    """Mark the cells whose circumscribed ball lies outside the pictures of all cameras, poses (views, 4, 4).

    A row of intrinsics (views, 6) is width, height, focal lengths and principal point, in pixels. `margin` (pixels) is
    added to each side of a picture.
    """
    resolution = density.shape[0]
    size = cube[3] / resolution
    radius = 0.5 * math.sqrt(3.0) * size
    for i in range(resolution):
        for j in range(resolution):
            for k in range(resolution):
                seen = False
                for view in range(poses.shape[0]):
                    pose = poses[view]
                    width, height, focal_x, focal_y, center_x, center_y = intrinsics[view]
                    x = cube[0] + (i + 0.5) * size - pose[0, 3]
                    y = cube[1] + (j + 0.5) * size - pose[1, 3]
                    z = cube[2] + (k + 0.5) * size - pose[2, 3]
                    depth = -(pose[0, 2] * x + pose[1, 2] * y + pose[2, 2] * z)
                    if depth < -radius:
                        continue
                    # an upper bound of the ball's radius in the picture: across the ray, and nearer to the camera
                    reach_x, reach_y = radius * (focal_x + width), radius * (focal_y + height)
                    across = focal_x * (pose[0, 0] * x + pose[1, 0] * y + pose[2, 0] * z)
                    down = -focal_y * (pose[0, 1] * x + pose[1, 1] * y + pose[2, 1] * z)
                    left, right = -(center_x + margin) * depth, (width - center_x + margin) * depth
                    top, bottom = -(center_y + margin) * depth, (height - center_y + margin) * depth
                    if left - reach_x <= across <= right + reach_x and top - reach_y <= down <= bottom + reach_y:
                        seen = True
                        break
                if not seen:
                    density[i, j, k] = UNSEEN


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
