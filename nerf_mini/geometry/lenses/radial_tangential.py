"""The radial-tangential lens of Brown (1966), with the parameters of OpenCV: k1, k2, p1, p2, k3, k4, k5, k6.

With r^2 = x^2 + y^2 of the undistorted place (x, y) on the image plane, the light lands on

    x' = x d + 2 p1 x y + p2 (r^2 + 2 x^2)
    y' = y d + p1 (r^2 + 2 y^2) + 2 p2 x y,     d = (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6)

Trailing parameters that are zero cost nothing: without k4 to k6, d is the polynomial that most calibrations fit.
"""

from nerf_mini.geometry.lenses.distortion import distorting_lens

LENS = distorting_lens(
    "radial-tangential", ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"), top=(0, 1, 4), bottom=(5, 6, 7)
)
