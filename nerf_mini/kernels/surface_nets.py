"""Naive surface nets: the surface on which values of a lattice reach a level (Gibson 1998).

Every cell of the lattice whose eight corners are not all on one side of the level has one vertex, the mean of the
places where its edges cross the level. Every edge of the lattice that crosses the level has one quad, of the vertices
of the four cells around it, turned such that its normal points to the lower values.

The lattice comes in slabs of layers, the last layer of one being the first of the next. Vertices of two layers of cells
are remembered, in ids (2, ny - 1, nz - 1): those of the cells between the layers n and n + 1 in ids[n % 2].
"""

from numba import prange

from nerf_mini.kernels.compiling import kernel, parallel_kernel, part


@part
def _corners(values, level, i, j, k):
    """Which corners of a cell are above the level: bit 4 a + 2 b + c for the corner (i + a, j + b, k + c)."""
    found = 0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                if values[i + a, j + b, k + c] > level:
                    found |= 1 << (4 * a + 2 * b + c)
    return found


@parallel_kernel
def count_surface(values, level, layer, out_vertices, out_quads):
    """How many vertices and quads each layer of cells of a slab, which begins at a layer of the lattice, adds:
    out_vertices, out_quads (layers - 1,)."""
    layers, ny, nz = values.shape
    for i in prange(layers - 1):
        vertices, quads = 0, 0
        for j in range(ny - 1):
            for k in range(nz - 1):
                corners = _corners(values, level, i, j, k)
                if corners == 0 or corners == 255:
                    continue
                vertices += 1
                here = corners & 1
                if j > 0 and k > 0 and here != corners >> 4 & 1:
                    quads += 1
                if layer + i > 0 and k > 0 and here != corners >> 2 & 1:
                    quads += 1
                if layer + i > 0 and j > 0 and here != corners >> 1 & 1:
                    quads += 1
        out_vertices[i], out_quads[i] = vertices, quads


@part
def _place_vertex(values, level, i, j, k, out):
    """The mean of the crossings of a cell's twelve edges, from its low corner."""
    x, y, z, crossings = 0.0, 0.0, 0.0, 0
    for a in range(2):
        for b in range(2):
            for axis in range(3):  # the edge along an axis from the corner with (a, b) along the two others
                di, dj, dk = (0, a, b) if axis == 0 else ((a, 0, b) if axis == 1 else (a, b, 0))
                si, sj, sk = (1, 0, 0) if axis == 0 else ((0, 1, 0) if axis == 1 else (0, 0, 1))
                first = float(values[i + di, j + dj, k + dk])
                last = float(values[i + di + si, j + dj + sj, k + dk + sk])
                if (first > level) != (last > level):
                    share = (level - first) / (last - first)
                    x += di + si * share
                    y += dj + sj * share
                    z += dk + sk * share
                    crossings += 1
    out[0], out[1], out[2] = x / crossings, y / crossings, z / crossings


@part
def _add_quad(inside, a, b, c, d, out):
    """The corners of a quad, which runs counter-clockwise about the axis of its edge if the low end is inside."""
    out[0], out[2] = a, c
    if inside:
        out[1], out[3] = b, d
    else:
        out[1], out[3] = d, b


@kernel
def fill_surface(values, level, layer, vertex_count, ids, out_vertices, out_quads):
    """Vertices, in lattice coordinates, and quads of a slab that begins at a layer of the lattice, after as many
    vertices of the layers before."""
    layers, ny, nz = values.shape
    found, filled = 0, 0
    for i in range(layers - 1):
        here, before = ids[(layer + i) % 2], ids[(layer + i + 1) % 2]
        for j in range(ny - 1):
            for k in range(nz - 1):
                corners = _corners(values, level, i, j, k)
                if corners == 0 or corners == 255:
                    continue
                vertex = out_vertices[found]
                _place_vertex(values, level, i, j, k, vertex)
                vertex[0] += layer + i
                vertex[1] += j
                vertex[2] += k
                here[j, k] = vertex_count + found
                found += 1
                # cells with smaller coordinates have their vertices by now: edges from the low corner are complete
                inside = corners & 1
                if j > 0 and k > 0 and inside != corners >> 4 & 1:
                    _add_quad(inside, here[j - 1, k - 1], here[j, k - 1], here[j, k], here[j - 1, k], out_quads[filled])
                    filled += 1
                if layer + i > 0 and k > 0 and inside != corners >> 2 & 1:
                    _add_quad(inside, before[j, k - 1], before[j, k], here[j, k], here[j, k - 1], out_quads[filled])
                    filled += 1
                if layer + i > 0 and j > 0 and inside != corners >> 1 & 1:
                    _add_quad(inside, before[j - 1, k], here[j - 1, k], here[j, k], before[j, k], out_quads[filled])
                    filled += 1
