"""Registration with nerfbaselines, which imports this through the entry point `nerfbaselines.specs`."""

from nerfbaselines import register

from nerf_mini.integrations.nerfbaselines import INFO

register({
    "id": "nerf-mini",
    "method_class": "nerf_mini.integrations.nerfbaselines:Adapter",
    "metadata": {"name": "nerf-mini", "description": "Radiance fields on a CPU, in NumPy and Numba."},
    "presets": {"quick": {"preset": "quick"}, "best": {"preset": "best"}},
    **{key: list(value) for key, value in INFO.items()},
})  # fmt: skip
