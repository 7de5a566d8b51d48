"""A register-tiled matrix product, written as LLVM vector code inside Numba: no BLAS, no compiler.

One block of C is kept in registers while the depth of the product streams past it. LLVM turns the vectors into whatever
the CPU has: AVX-512, AVX2 or NEON.

The operands A and B are arrays of words along the depth. A word is a number, float32 or float64; or a uint32 that holds
two neighbours as bfloat16, the first in the lower half, for CPUs that multiply and add such pairs (AVX512-BF16). Sums
are of C's precision, float32 for pairs.
"""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, overload

COLUMNS = 32  # widths are padded to a multiple of this
ROWS = 8  # row counts are padded to a multiple of this

FAST = {"contract", "reassoc", "nsz", "arcp"}  # no assumption that values are finite

I64, I32 = ir.IntType(64), ir.IntType(32)


def _cpu_features() -> frozenset[str]:
    """Of the CPU that Numba compiles for."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(feature[1:] for feature in features.split(",") if feature.startswith("+"))


_FEATURES = _cpu_features()
BFLOAT16 = {"avx512f", "avx512bf16"} <= _FEATURES  # whether pairs of bfloat16 can be multiplied

# With vectors of 64 bytes come 32 registers for them.
_BYTES, _BLOCK_ROWS = (64, 8) if "avx512f" in _FEATURES else (32, 4)


def panel_columns(itemsize: int) -> int:
    """Columns of a panel of B, for sums of numbers of so many bytes: what a row of a block of C holds."""
    return 2 * _BYTES // itemsize


def words(x, columns):
    """How many words of x hold so many columns."""
    raise NotImplementedError("for compiled code")


@overload(words)
def _words(x, columns):
    if x.dtype == types.uint32:
        return lambda x, columns: columns // 2
    return lambda x, columns: columns


@intrinsic
def _block(
    typingctx, a, a_start, a_row, a_step, b, b_start, init, init_start, init_row, c, c_start, c_row, depth, floor
):
    """C[8 or 4 rows, 2 vectors] = max(init + A[rows, depth] @ B[depth, 2 vectors], floor), summed in registers.

    Arrays are flat; word (i, p) of A is a[a_start + i * a_row + p * a_step], so that A may be read transposed; the
    panel of B is contiguous, and so are the rows of init and C, init_row and c_row apart. A NaN stays a NaN.
    """
    real = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}[init.dtype]
    itemsize = init.dtype.bitwidth // 8
    pairs, pairs_out = a.dtype == types.uint32, c.dtype == types.uint32
    word, word_out = (I32 if pairs else real), (I32 if pairs_out else real)
    lanes, vectors = _BYTES // itemsize, 2
    vec, word_vec = ir.VectorType(real, lanes), ir.VectorType(word, lanes)

    def codegen(context, builder, signature, args):
        def pointer(i, start, kind):
            array = context.make_array(signature.args[i])(context, builder, args[i])
            return builder.gep(builder.bitcast(array.data, kind.as_pointer()), [start])

        def intrinsic_function(name, result, arguments):
            return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)

        def splat(value, kind):
            undefined, first = ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
            return builder.shuffle_vector(builder.insert_element(undefined, value, I32(0)), undefined, first)

        def vector_at(base, j, kind):
            return builder.bitcast(builder.gep(base, [I64(j * lanes)]), kind.as_pointer())

        _, a_start, a_row, a_step, _, b_start, _, init_start, init_row, _, c_start, c_row, depth, floor = args
        pa, pb = pointer(0, a_start, word), pointer(4, b_start, word)
        p_init, pc = pointer(6, init_start, real), pointer(9, c_start, word_out)
        if pairs:
            dot = intrinsic_function("llvm.x86.avx512bf16.dpbf16ps.512", vec, [vec, word_vec, word_vec])
        else:
            # fused where the CPU can; without that, calling a function for each number would take forever
            fma = intrinsic_function(f"llvm.fmuladd.v{lanes}f{8 * itemsize}", vec, [vec] * 3)

        total = []
        for i in range(_BLOCK_ROWS):
            row = builder.gep(p_init, [builder.mul(init_row, I64(i))])
            total.append([builder.load(vector_at(row, j, vec), align=itemsize) for j in range(vectors)])
        a_rows = [builder.gep(pa, [builder.mul(a_row, I64(i))]) for i in range(_BLOCK_ROWS)]

        entry = builder.block
        body, done = builder.append_basic_block("body"), builder.append_basic_block("done")
        builder.branch(body)
        builder.position_at_end(body)
        step = builder.phi(I64)
        step.add_incoming(I64(0), entry)
        sums = [[builder.phi(vec) for _ in range(vectors)] for _ in range(_BLOCK_ROWS)]
        b_at = builder.gep(pb, [builder.mul(step, I64(vectors * lanes))])
        b_vectors = [builder.load(vector_at(b_at, j, word_vec), align=itemsize) for j in range(vectors)]
        a_at = builder.mul(step, a_step)
        for i in range(_BLOCK_ROWS):
            factor = splat(builder.load(builder.gep(a_rows[i], [a_at])), word_vec)
            for j in range(vectors):
                if pairs:
                    new = builder.call(dot, [sums[i][j], factor, b_vectors[j]])
                else:
                    new = builder.call(fma, [factor, b_vectors[j], sums[i][j]])
                sums[i][j].add_incoming(total[i][j], entry)
                sums[i][j].add_incoming(new, body)
                total[i][j] = new
        following = builder.add(step, I64(1))
        step.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed("<", following, depth), body, done)

        builder.position_at_end(done)
        least = splat(floor, vec)
        if pairs_out:
            halves = ir.VectorType(ir.IntType(16), 2 * lanes)
            round_two = intrinsic_function("llvm.x86.avx512bf16.cvtne2ps2bf16.512", halves, [vec, vec])
        for i in range(_BLOCK_ROWS):
            row = builder.gep(pc, [builder.mul(c_row, I64(i))])
            for j in range(vectors):
                below = builder.fcmp_ordered("<", total[i][j], least)
                total[i][j] = builder.select(below, least, total[i][j])
            if pairs_out:
                both = builder.call(round_two, [total[i][1], total[i][0]])  # the upper half comes first
                builder.store(both, builder.bitcast(row, halves.as_pointer()), align=4)
            else:
                for j in range(vectors):
                    builder.store(total[i][j], vector_at(row, j, vec), align=itemsize)
        return context.get_dummy_value()

    i = types.intp
    return types.void(a, i, i, i, b, i, init, i, i, c, i, i, i, init.dtype), codegen


@njit
def matmul(
    a, a_start, a_row, a_step, b, b_start, init, init_start, init_row, c, c_start, c_row, rows, columns, depth, floor
):
    """C = max(init + A @ B, floor) on flat arrays, in the layout of `_block`.

    B is stored in panels of `panel_columns` columns, each (depth, columns of the panel), one after the other. `rows`
    must be a multiple of ROWS and `columns` of COLUMNS; `depth`, in words, at least 1. With init_row 0, init is one row
    that is added to all.
    """
    panel = 2 * _BYTES // init.itemsize
    for j in range(0, columns, panel):
        for i in range(0, rows, _BLOCK_ROWS):
            _block(
                a, a_start + i * a_row, a_row, a_step, b, b_start + j * depth, init, init_start + i * init_row + j,
                init_row, c, c_start + i * c_row + words(c, j), c_row, depth, floor,
            )  # fmt: skip
