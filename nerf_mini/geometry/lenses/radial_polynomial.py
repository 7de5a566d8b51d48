"""The perspective lens of nerfstudio: as radial-tangential, but with k4 for r^8 in place of a denominator:

d = 1 + k1 r^2 + k2 r^4 + k3 r^6 + k4 r^8
"""

from nerf_mini.geometry.lenses.distortion import distorting_lens

LENS = distorting_lens("radial-polynomial", ("k1", "k2", "p1", "p2", "k3", "k4"), top=(0, 1, 4, 5))
