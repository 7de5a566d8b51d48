"""A register-tiled matrix product, written as LLVM vector code inside Numba: no BLAS, no compiler.

One block of C is kept in registers while the depth of the product streams past it. LLVM turns the vectors into whatever
the CPU has: AVX-512, AVX2 or NEON.

The operands A and B are arrays of words along the depth. A word is a number, float32 or float64; or a uint32 that holds
two neighbours as bfloat16, the first in the lower half, for CPUs that multiply and add such pairs (AVX512-BF16). Sums
are of C's precision, float32 for pairs.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, overload

from nerf_mini.kernels.compiling import part

COLUMNS = 32  # widths are padded to a multiple of this
ROWS = 8  # row counts are padded to a multiple of this

I64, I32 = ir.IntType(64), ir.IntType(32)


def _cpu_features() -> frozenset[str]:
    """Of the CPU that Numba compiles for."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(feature[1:] for feature in features.split(",") if feature.startswith("+"))


_FEATURES = _cpu_features()
BFLOAT16 = {"avx512f", "avx512bf16"} <= _FEATURES  # whether pairs of bfloat16 can be multiplied

# With vectors of 64 bytes come 32 registers for them.
_BYTES, _BLOCK_ROWS = (64, 8) if "avx512f" in _FEATURES else (32, 4)
_VECTORS = 2  # a row of a block


def panel_columns(itemsize: int) -> int:
    """Columns of a panel of B, given the item size of the sums in bytes: as many as a row of a block of C."""
    return _VECTORS * _BYTES // itemsize


def words(x, columns):
    """How many words of x hold this number of columns."""
    raise NotImplementedError("for compiled code")


@overload(words)
def _words(x, columns):
    if x.dtype == types.uint32:
        return lambda x, columns: columns // 2
    return lambda x, columns: columns


class _BlockCode:
    """Writes the LLVM code of `_block`. Its sums are lists of _BLOCK_ROWS rows, lists of _VECTORS vectors."""

    def __init__(self, context, builder, signature, args):
        self.builder = builder
        self.a, self.b, self.init, self.c = (
            context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 4, 6, 9)
        )
        _, self.a_start, self.a_row, self.a_step, _, self.b_start, _, self.init_start, self.init_row, *rest = args
        _, self.c_start, self.c_row, self.depth, self.floor = rest
        kind = signature.args[6].dtype
        self.real = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}[kind]
        self.itemsize = kind.bitwidth // 8
        self.pairs, self.pairs_out = (signature.args[i].dtype == types.uint32 for i in (0, 9))
        self.lanes = _BYTES // self.itemsize
        self.vector = ir.VectorType(self.real, self.lanes)

    def _intrinsic(self, name, result, arguments):
        return cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(result, arguments), name)

    def _pointer(self, data, start, kind):
        return self.builder.gep(self.builder.bitcast(data, kind.as_pointer()), [start])

    def _row(self, base, stride, i):
        return self.builder.gep(base, [self.builder.mul(stride, I64(i))])

    def _vector_at(self, base, j, kind):
        return self.builder.bitcast(self.builder.gep(base, [I64(j * self.lanes)]), kind.as_pointer())

    def _splat(self, value, kind):
        undefined = ir.Constant(kind, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(self.builder.insert_element(undefined, value, I32(0)), undefined, zeros)

    def _load(self, base, j, kind):
        return self.builder.load(self._vector_at(base, j, kind), align=self.itemsize)

    def _multiply_add(self, x, y, total):
        if self.pairs:
            name, arguments = "llvm.x86.avx512bf16.dpbf16ps.512", [total, x, y]
        else:
            # fused where the CPU can; without that, calling a function for each number would take forever
            name, arguments = f"llvm.fmuladd.v{self.lanes}f{8 * self.itemsize}", [x, y, total]
        return self.builder.call(self._intrinsic(name, self.vector, [v.type for v in arguments]), arguments)

    def initial(self):
        """The sums before the loop."""
        start = self._pointer(self.init, self.init_start, self.real)
        rows = [self._row(start, self.init_row, i) for i in range(_BLOCK_ROWS)]
        return [[self._load(row, j, self.vector) for j in range(_VECTORS)] for row in rows]

    def loop(self, before):
        """The sums after the loop over the depth."""
        builder, word = self.builder, I32 if self.pairs else self.real
        word_vector = ir.VectorType(word, self.lanes)
        a, b = self._pointer(self.a, self.a_start, word), self._pointer(self.b, self.b_start, word)
        a_rows = [self._row(a, self.a_row, i) for i in range(_BLOCK_ROWS)]
        entry = builder.block
        body, done = builder.append_basic_block("body"), builder.append_basic_block("done")
        builder.branch(body)
        builder.position_at_end(body)

        step = builder.phi(I64)
        sums = [[builder.phi(self.vector) for _ in range(_VECTORS)] for _ in range(_BLOCK_ROWS)]
        b_at = builder.gep(b, [builder.mul(step, I64(_VECTORS * self.lanes))])
        b_row = [self._load(b_at, j, word_vector) for j in range(_VECTORS)]
        a_at, after = builder.mul(step, self.a_step), []
        for row, row_sums in zip(a_rows, sums, strict=True):
            factor = self._splat(builder.load(builder.gep(row, [a_at])), word_vector)
            after.append([self._multiply_add(factor, x, total) for x, total in zip(b_row, row_sums, strict=True)])
        following = builder.add(step, I64(1))

        step.add_incoming(I64(0), entry)
        step.add_incoming(following, body)
        for i in range(_BLOCK_ROWS):
            for j in range(_VECTORS):
                sums[i][j].add_incoming(before[i][j], entry)
                sums[i][j].add_incoming(after[i][j], body)
        builder.cbranch(builder.icmp_signed("<", following, self.depth), body, done)
        builder.position_at_end(done)
        return after

    def store(self, total):
        """Write the sums, bounded from below, as numbers or as pairs."""
        builder, least = self.builder, self._splat(self.floor, self.vector)
        start = self._pointer(self.c, self.c_start, I32 if self.pairs_out else self.real)
        for i, row_sums in enumerate(total):
            row = self._row(start, self.c_row, i)
            row_sums = [builder.select(builder.fcmp_ordered("<", x, least), least, x) for x in row_sums]
            if self.pairs_out:
                halves = ir.VectorType(ir.IntType(16), 2 * self.lanes)
                round_two = self._intrinsic("llvm.x86.avx512bf16.cvtne2ps2bf16.512", halves, [self.vector] * 2)
                both = builder.call(round_two, row_sums[::-1])  # the upper half comes first
                builder.store(both, builder.bitcast(row, halves.as_pointer()), align=4)
                continue
            for j, x in enumerate(row_sums):
                builder.store(x, self._vector_at(row, j, self.vector), align=self.itemsize)


@intrinsic
def _block(
    typingctx, a, a_start, a_row, a_step, b, b_start, init, init_start, init_row, c, c_start, c_row, depth, floor
):
    """C[8 or 4 rows, 2 vectors] = max(init + A[rows, depth] @ B[depth, 2 vectors], floor), summed in registers.

    Arrays are flat; word (i, p) of A is a[a_start + i * a_row + p * a_step], so that A may be read transposed; the
    panel of B is contiguous, and so are the rows of init and C, init_row and c_row apart. A NaN stays a NaN.
    """

    def codegen(context, builder, signature, args):
        code = _BlockCode(context, builder, signature, args)
        code.store(code.loop(code.initial()))
        return context.get_dummy_value()

    i = types.intp
    return types.void(a, i, i, i, b, i, init, i, i, c, i, i, i, init.dtype), codegen


@part
def panel_matmul(
    a, a_start, a_row, a_step, b, b_start, init, init_start, init_row, c, c_start, c_row, rows, columns, depth, floor
):
    """C = max(init + A @ B, floor) on flat arrays, in the layout of `_block`.

    B is stored in panels of `panel_columns` columns, each (depth, columns of the panel), one after the other. `rows`
    must be a multiple of ROWS and `columns` of COLUMNS; `depth`, in words, at least 1. With init_row 0, init is one row
    that is added to all.
    """
    panel = _VECTORS * _BYTES // init.itemsize
    for j in range(0, columns, panel):
        for i in range(0, rows, _BLOCK_ROWS):
            _block(
                a, a_start + i * a_row, a_row, a_step, b, b_start + j * depth, init, init_start + i * init_row + j,
                init_row, c, c_start + i * c_row + words(c, j), c_row, depth, floor,
            )  # fmt: skip
