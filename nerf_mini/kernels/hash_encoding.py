"""Multiresolution hash encoding (Mueller et al. 2022), forward and backward.

Level l is a grid of N_l cells a side over [0, 1]^3 with features at its (N_l + 1)^3 vertices. The encoding of a point
is the trilinear interpolation of the features of its cell's eight corners, level after level. Vertex (x, y, z) has the
entry
    x + (N_l + 1) (y + (N_l + 1) z)                          while that many vertices fit in the table (dense),
    (x xor 2654435761 y xor 805459861 z) mod entries         above (hashed; entries a power of two).
A level is a row (first entry, entries, N_l, hashed) of `levels`. Points outside the cube are moved to its surface.

Indices and weights are computed for a tile of samples at once, which vectorises; then each sample gathers its corners,
a vector of features at a time. Levels are the outer loop, so that one table at a time is in cache. The backward pass is
parallel over levels, each of which one thread walks in the order of the samples: no atomics, and the same bits
for every number of threads.
"""

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from nerf_mini.kernels.compiling import fast_part, inlined_part, parallel_kernel, part
from nerf_mini.kernels.schedule import GRID_BLOCK as BLOCK
from nerf_mini.kernels.schedule import GRID_TILE as TILE

I32, I64 = ir.IntType(32), ir.IntType(64)
PRIMES = (1, 2654435761, 805459861)
CORNERS = 8


@fast_part
def corners(x, first, level, entry, fraction, index, weight):
    """Entries and weights of the corners of the cells of x[3, first : first + TILE], in index and weight
    (CORNERS, TILE).

    `level` is a row of `levels`; entry (3, 2, TILE) uint32 and fraction (3, TILE) are scratch; corner c is the upper
    one in axis k where bit k of c is set. Always a whole tile: loops of known length vectorise, and what lies behind
    the last sample does no harm.
    """
    size, resolution, hashed = level[1], level[2], level[3]
    zero, one, scale = x.dtype.type(0), x.dtype.type(1), x.dtype.type(resolution)
    last, mask = np.int32(resolution - 1), np.uint32(size - 1)
    for axis in range(3):
        stride = np.uint32(PRIMES[axis] if hashed else (resolution + 1) ** axis)
        at = x[axis, first : first + TILE]
        for i in range(TILE):
            u = min(max(zero, at[i]), one) * scale  # zero also for NaN
            cell = min(np.int32(u), last)
            fraction[axis, i] = u - x.dtype.type(cell)
            low = np.uint32(np.uint32(cell) * stride)
            entry[axis, 0, i] = low
            entry[axis, 1, i] = np.uint32(low + stride)
    if hashed:
        for i in range(TILE):
            for c in range(0, CORNERS, 2):
                yz = entry[1, c >> 1 & 1, i] ^ entry[2, c >> 2, i]
                index[c, i] = (entry[0, 0, i] ^ yz) & mask
                index[c + 1, i] = (entry[0, 1, i] ^ yz) & mask
    else:
        for i in range(TILE):
            for c in range(0, CORNERS, 2):
                yz = entry[1, c >> 1 & 1, i] + entry[2, c >> 2, i]
                index[c, i] = entry[0, 0, i] + yz
                index[c + 1, i] = entry[0, 1, i] + yz
    for i in range(TILE):
        x1, y1, z1 = fraction[0, i], fraction[1, i], fraction[2, i]
        for c in range(0, CORNERS, 2):
            yz = (y1 if c >> 1 & 1 else one - y1) * (z1 if c >> 2 else one - z1)
            weight[c, i] = (one - x1) * yz
            weight[c + 1, i] = x1 * yz


def _make_feature_access(features):
    """Intrinsics that read or change a sample's eight corners, `features` numbers of each at a time."""
    n = types.intp

    def parts(context, builder, signature, args):
        table, first, index, weight, i, other, at = args
        real = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}[signature.args[0].dtype]
        itemsize = signature.args[0].dtype.bitwidth // 8
        vec = ir.VectorType(real, features)
        data = [
            context.make_array(signature.args[k])(context, builder, a).data
            for k, a in ((0, table), (2, index), (3, weight), (5, other))
        ]
        rows = builder.gep(builder.bitcast(data[0], real.as_pointer()), [builder.mul(first, I64(features))])
        value = builder.bitcast(builder.gep(data[3], [at]), vec.as_pointer())
        name = f"llvm.fmuladd.v{features}f{8 * itemsize}"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vec, [vec] * 3), name)
        undefined, zeros = ir.Constant(vec, ir.Undefined), ir.Constant(ir.VectorType(I32, features), [0] * features)

        def corner(c):
            """Pointer to the features of corner c, and its weight in all lanes."""
            k = builder.add(i, I64(c * TILE))
            entry = builder.zext(builder.load(builder.gep(data[1], [k])), ir.IntType(64))
            place = builder.gep(rows, [builder.mul(entry, I64(features))])
            w = builder.load(builder.gep(data[2], [k]))
            splat = builder.shuffle_vector(builder.insert_element(undefined, w, I32(0)), undefined, zeros)
            return builder.bitcast(place, vec.as_pointer()), splat

        return vec, itemsize, value, fma, corner

    @intrinsic
    def gather(typingctx, table, first, index, weight, i, out, at):
        """out[at : at + features] = sum over corners c of weight[c, i] table[first + index[c, i]]."""

        def codegen(context, builder, signature, args):
            vec, itemsize, value, fma, corner = parts(context, builder, signature, args)
            total = ir.Constant(vec, [0.0] * features)
            for c in range(CORNERS):
                place, w = corner(c)
                total = builder.call(fma, [w, builder.load(place, align=itemsize), total])
            builder.store(total, value, align=itemsize)
            return context.get_dummy_value()

        return types.void(table, n, index, weight, n, out, n), codegen

    @intrinsic
    def scatter(typingctx, table, first, index, weight, i, g, at):
        """table[first + index[c, i]] += weight[c, i] g[at : at + features] for all corners c."""

        def codegen(context, builder, signature, args):
            _, itemsize, value, fma, corner = parts(context, builder, signature, args)
            slope = builder.load(value, align=itemsize)
            for c in range(CORNERS):
                place, w = corner(c)
                builder.store(builder.call(fma, [w, slope, builder.load(place, align=itemsize)]), place, align=itemsize)
            return context.get_dummy_value()

        return types.void(table, n, index, weight, n, g, n), codegen

    return gather, scatter


FEATURES = (2, 4)  # that a level can have
_gather2, _scatter2 = _make_feature_access(2)
_gather4, _scatter4 = _make_feature_access(4)


@part
def _transpose_points(points, first, count, x):
    """x[3, :count] = points[first : first + count].T"""
    for axis in range(3):
        row = x[axis]
        for i in range(count):
            row[i] = points[first + i, axis]


@inlined_part
def encode_block(points, first, count, tables, features, levels, x, entry, fraction, index, weight, out, at, row):
    """The encoding of `count` <= BLOCK points, into out[at + i * row + level * features], flat.

    x is (3, BLOCK) scratch; for the others see `corners`.
    """
    _transpose_points(points, first, count, x)
    for level in range(levels.shape[0]):
        start = levels[level, 0]
        for tile in range(0, count, TILE):
            here = min(TILE, count - tile)
            corners(x, tile, levels[level], entry, fraction, index, weight)
            place = at + tile * row + level * features
            if features == 2:
                for i in range(here):
                    _gather2(tables, start, index, weight, i, out, place + i * row)
            else:
                for i in range(here):
                    _gather4(tables, start, index, weight, i, out, place + i * row)


@part
def tile_scratch(dtype_like):
    """entry, fraction, index and weight for `corners`, in the dtype of an array."""
    dtype = dtype_like.dtype
    entry = np.empty((3, 2, TILE), np.uint32)
    return entry, np.empty((3, TILE), dtype), np.empty((CORNERS, TILE), np.uint32), np.empty((CORNERS, TILE), dtype)


# The bodies of parallel loops are functions of their own, because Numba is slow to compile what it may have to
# parallelise; and they take a signed number, or it would compile them twice.


@part
def _forward_block(points, tables, features, levels, first, out):
    samples, row = out.shape
    x = np.empty((3, BLOCK), points.dtype)
    entry, fraction, index, weight = tile_scratch(points)
    count, flat = min(BLOCK, samples - first), out.reshape(samples * row)
    encode_block(
        points, first, count, tables, features, levels, x, entry, fraction, index, weight, flat, first * row, row
    )


@parallel_kernel
def hash_grid_forward(points, tables, features, levels, out):
    """points (samples, 3), tables flat -> out (samples, levels * features)."""
    for block in prange((points.shape[0] + BLOCK - 1) // BLOCK):
        _forward_block(points, tables, features, levels, np.int64(block) * BLOCK, out)


@part
def _scatter_level(g, points, features, levels, level, g_tables):
    samples, row = g.shape
    flat = g.reshape(samples * row)
    x = np.empty((3, TILE), points.dtype)
    entry, fraction, index, weight = tile_scratch(points)
    start = levels[level, 0]
    for first in range(0, samples, TILE):
        count = min(TILE, samples - first)
        _transpose_points(points, first, count, x)
        corners(x, np.int64(0), levels[level], entry, fraction, index, weight)
        place = first * row + level * features
        if features == 2:
            for i in range(count):
                _scatter2(g_tables, start, index, weight, i, flat, place + i * row)
        else:
            for i in range(count):
                _scatter4(g_tables, start, index, weight, i, flat, place + i * row)


@parallel_kernel
def hash_grid_backward(g, points, features, levels, g_tables):
    """Adds the gradient of the tables, flat, to g_tables, from g (samples, levels * features)."""
    levels_in_all = levels.shape[0]
    for task in prange(levels_in_all):
        # finer levels take longer: pairing coarse with fine ones gives threads equal shares
        level = task // 2 if task % 2 == 0 else levels_in_all - 1 - task // 2
        _scatter_level(g, points, features, levels, np.int64(level), g_tables)


@fast_part
def _corner_slopes(g, place, row, tables, start, features, index, count, slope):
    """slope[c, i] = g of sample i of a tile, times the features of its corner c: the slope by the corner's weight."""
    for i in range(count):
        at = place + i * row
        if features == 2:
            g0, g1 = g[at], g[at + 1]
            for c in range(CORNERS):
                entry = (start + np.int64(index[c, i])) * 2
                slope[c, i] = g0 * tables[entry] + g1 * tables[entry + 1]
        else:
            g0, g1, g2, g3 = g[at], g[at + 1], g[at + 2], g[at + 3]
            for c in range(CORNERS):
                entry = (start + np.int64(index[c, i])) * 4
                slope[c, i] = (g0 * tables[entry] + g1 * tables[entry + 1]) + (
                    g2 * tables[entry + 2] + g3 * tables[entry + 3]
                )


@fast_part
def _add_point_slopes(fraction, slope, resolution, first, g_x):
    """Add the slopes by the places of a tile's samples to g_x[3, first : first + TILE], from those by the weights."""
    one, scale = fraction.dtype.type(1), fraction.dtype.type(resolution)
    for i in range(TILE):
        x, y, z = fraction[0, i], fraction[1, i], fraction[2, i]
        # interpolated along x first: at the four edges, and how they differ from end to end
        e00, d00 = slope[0, i] + x * (slope[1, i] - slope[0, i]), slope[1, i] - slope[0, i]
        e10, d10 = slope[2, i] + x * (slope[3, i] - slope[2, i]), slope[3, i] - slope[2, i]
        e01, d01 = slope[4, i] + x * (slope[5, i] - slope[4, i]), slope[5, i] - slope[4, i]
        e11, d11 = slope[6, i] + x * (slope[7, i] - slope[6, i]), slope[7, i] - slope[6, i]
        g_x[0, first + i] += scale * ((one - z) * (d00 + y * (d10 - d00)) + z * (d01 + y * (d11 - d01)))
        g_x[1, first + i] += scale * ((one - z) * (e10 - e00) + z * (e11 - e01))
        g_x[2, first + i] += scale * ((e01 + y * (e11 - e01)) - (e00 + y * (e10 - e00)))


@part
def _points_backward_block(g, points, tables, features, levels, first, g_points):
    samples, row = g.shape
    count, flat = min(BLOCK, samples - first), g.reshape(samples * row)
    x, g_x = np.zeros((3, BLOCK), points.dtype), np.zeros((3, BLOCK), points.dtype)
    entry, fraction, index, weight = tile_scratch(points)
    slope = np.zeros((CORNERS, TILE), points.dtype)
    _transpose_points(points, first, count, x)
    for level in range(levels.shape[0]):
        for tile in range(0, count, TILE):
            corners(x, tile, levels[level], entry, fraction, index, weight)
            place, here = (first + tile) * row + level * features, min(TILE, count - tile)
            _corner_slopes(flat, place, row, tables, levels[level, 0], features, index, here, slope)
            _add_point_slopes(fraction, slope, levels[level, 2], tile, g_x)
    for i in range(count):
        for axis in range(3):
            inside = 0 <= x[axis, i] <= 1
            g_points[first + i, axis] = g_x[axis, i] if inside else 0


@parallel_kernel
def hash_grid_points_backward(g, points, tables, features, levels, g_points):
    """Gradient of the points (samples, 3), from g (samples, levels * features); 0 along axes where they lie outside."""
    for block in prange((points.shape[0] + BLOCK - 1) // BLOCK):
        _points_backward_block(g, points, tables, features, levels, np.int64(block) * BLOCK, g_points)
