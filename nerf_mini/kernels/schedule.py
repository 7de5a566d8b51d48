"""How kernels cut their work into pieces. Results do not depend on the number of threads: the pieces are fixed."""

CHUNKS = 16  # shares of the samples or rays, each worked on by one thread, with partial sums of its own

NETWORK_TILE = 128  # samples that go through all layers of a network together, in cache
ACTIVATION_TILE = 512
ENCODING_TILE = 256
GRID_TILE = 128  # samples whose corners of a hash grid are computed together
GRID_BLOCK = 1024  # samples that go through all levels of a hash grid together
POINT_BLOCK = 4096
ADAM_BLOCK = 1 << 14
PACKING_BLOCK = 256  # words of a bitmap
