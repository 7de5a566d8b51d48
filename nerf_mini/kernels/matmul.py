"""A register-tiled matrix product, written as LLVM vector code inside Numba: no BLAS, no compiler.

One block of C is kept in registers while the depth of the product streams past it. LLVM turns the vectors into whatever
the CPU has: AVX-512, AVX2 or NEON.
"""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

COLUMNS = 32  # widths are padded to a multiple of this
ROWS = 8  # row counts are padded to a multiple of this

FAST = {"contract", "reassoc", "nsz", "arcp"}  # no assumption that values are finite

I64, I32 = ir.IntType(64), ir.IntType(32)


def _wide_vectors() -> bool:
    """Whether the CPU that Numba compiles for has vectors of 64 bytes, and 32 registers for them."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return "+avx512f" in features


_BYTES, _BLOCK_ROWS = (64, 8) if _wide_vectors() else (32, 4)


@intrinsic
def _block(typingctx, a, a_start, a_row, a_step, b, b_start, b_row, c, c_start, c_row, depth):
    """C[8 or 4 rows, 2 vectors] += A[rows, depth] @ B[depth, 2 vectors], the accumulators in registers.

    Arrays are flat; entry (i, p) of A is a[a_start + i * a_row + p * a_step], so that A may be read transposed;
    rows of B and C are contiguous.
    """
    real = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}[c.dtype]
    itemsize = c.dtype.bitwidth // 8
    lanes, vectors = _BYTES // itemsize, 2
    vec = ir.VectorType(real, lanes)

    def codegen(context, builder, signature, args):
        def pointer(i):
            array = context.make_array(signature.args[i])(context, builder, args[i])
            return builder.bitcast(array.data, real.as_pointer())

        a_start, a_row, a_step, b_start, b_row, c_start, c_row, depth = (args[i] for i in (1, 2, 3, 5, 6, 8, 9, 10))
        pa, pb, pc = (builder.gep(pointer(i), [s]) for i, s in ((0, a_start), (4, b_start), (7, c_start)))
        name = f"llvm.fma.v{lanes}f{8 * itemsize}"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vec, [vec] * 3), name)

        def vector_at(base, j):
            return builder.bitcast(builder.gep(base, [I64(j * lanes)]), vec.as_pointer())

        c_rows = [builder.gep(pc, [builder.mul(c_row, I64(i))]) for i in range(_BLOCK_ROWS)]
        start = [[builder.load(vector_at(row, j), align=itemsize) for j in range(vectors)] for row in c_rows]
        a_rows = [builder.gep(pa, [builder.mul(a_row, I64(i))]) for i in range(_BLOCK_ROWS)]

        entry = builder.block
        body, done = builder.append_basic_block("body"), builder.append_basic_block("done")
        builder.branch(body)
        builder.position_at_end(body)
        step = builder.phi(I64)
        step.add_incoming(I64(0), entry)
        total = [[builder.phi(vec) for _ in range(vectors)] for _ in range(_BLOCK_ROWS)]
        b_at = builder.gep(pb, [builder.mul(step, b_row)])
        b_vectors = [builder.load(vector_at(b_at, j), align=itemsize) for j in range(vectors)]
        a_at = builder.mul(step, a_step)
        undefined, first = ir.Constant(vec, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        for i in range(_BLOCK_ROWS):
            scalar = builder.load(builder.gep(a_rows[i], [a_at]))
            splat = builder.shuffle_vector(builder.insert_element(undefined, scalar, I32(0)), undefined, first)
            for j in range(vectors):
                new = builder.call(fma, [splat, b_vectors[j], total[i][j]])
                total[i][j].add_incoming(start[i][j], entry)
                total[i][j].add_incoming(new, body)
                start[i][j] = new
        following = builder.add(step, I64(1))
        step.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed("<", following, depth), body, done)
        builder.position_at_end(done)
        for i in range(_BLOCK_ROWS):
            for j in range(vectors):
                builder.store(start[i][j], vector_at(c_rows[i], j), align=itemsize)
        return context.get_dummy_value()

    i = types.intp
    return types.void(a, i, i, i, b, i, i, c, i, i, i), codegen


@njit
def matmul_add(a, a_start, a_row, a_step, b, b_start, b_row, c, c_start, c_row, rows, columns, depth):
    """C += A @ B on flat arrays of one dtype, in the layout of `_block`.

    `rows` must be a multiple of ROWS and `columns` of COLUMNS; `depth` at least 1.
    """
    width = 2 * _BYTES // a.itemsize
    for j in range(0, columns, width):
        for i in range(0, rows, _BLOCK_ROWS):
            _block(
                a, a_start + i * a_row, a_row, a_step, b, b_start + j, b_row, c, c_start + i * c_row + j, c_row, depth
            )
