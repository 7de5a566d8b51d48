"""Every numeric operator: fused ones, each a pair of kernels beside its NumPy reference, and plain ones.

Nothing else imports `kernels`, the benchmark aside.
"""

from nerf_mini.ops.activations import (
    DensityActivation,
    activate,
    activate_density,
    exp_density,
    logistic,
    truncated_exp,
)
from nerf_mini.ops.adam import adam_step
from nerf_mini.ops.compiled import BFLOAT16, cache_folder, compiler_stamp
from nerf_mini.ops.compositing import composite
from nerf_mini.ops.contraction import contract, contract_in_place
from nerf_mini.ops.dense_network import mlp, mlp_bytes, mlp_density, mlp_parameter_shapes
from nerf_mini.ops.encoding import encode, encoding_width, positional_encoding
from nerf_mini.ops.gradient_scaling import near_camera_factor, scale_gradient
from nerf_mini.ops.harmonics import harmonics_width, spherical_harmonics
from nerf_mini.ops.hash_encoding import GridShape, hash_grid
from nerf_mini.ops.mlp_shapes import GridMLPShape, MLPShape, NetworkShape
from nerf_mini.ops.occupancy import (
    UNSEEN,
    all_occupied,
    cell_points,
    mark_occupied,
    mark_unseen,
    mean_density,
    measure_clear,
    occupied,
    sweep,
    update_cells,
)
from nerf_mini.ops.packing import PACKED_AT_ONCE, pack_changed, unpack
from nerf_mini.ops.ray_distortion import distortion
from nerf_mini.ops.ray_points import positions
from nerf_mini.ops.registry import OperatorUse
from nerf_mini.ops.sampling import sample_histogram
from nerf_mini.ops.surfaces import Surface, surface_nets
from nerf_mini.ops.tracing import (
    OccupiedCells,
    RayArrays,
    RayProgress,
    Steps,
    add_colors,
    cross_front,
    march_front,
    pack_fronts,
    place_front,
    see_front,
    weigh_front,
)

__all__ = [
    "BFLOAT16",
    "PACKED_AT_ONCE",
    "UNSEEN",
    "DensityActivation",
    "GridMLPShape",
    "GridShape",
    "MLPShape",
    "NetworkShape",
    "OccupiedCells",
    "OperatorUse",
    "RayArrays",
    "RayProgress",
    "Steps",
    "Surface",
    "activate",
    "activate_density",
    "adam_step",
    "add_colors",
    "all_occupied",
    "cache_folder",
    "cell_points",
    "compiler_stamp",
    "composite",
    "contract",
    "contract_in_place",
    "cross_front",
    "distortion",
    "encode",
    "encoding_width",
    "exp_density",
    "harmonics_width",
    "hash_grid",
    "logistic",
    "march_front",
    "mark_occupied",
    "mark_unseen",
    "mean_density",
    "measure_clear",
    "mlp",
    "mlp_bytes",
    "mlp_density",
    "mlp_parameter_shapes",
    "near_camera_factor",
    "occupied",
    "pack_changed",
    "pack_fronts",
    "place_front",
    "positional_encoding",
    "positions",
    "sample_histogram",
    "scale_gradient",
    "see_front",
    "spherical_harmonics",
    "surface_nets",
    "sweep",
    "truncated_exp",
    "unpack",
    "update_cells",
    "weigh_front",
]
