"""How operations are computed on a GPU: Triton kernels, and torch alone."""
