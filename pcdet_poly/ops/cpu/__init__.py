"""How operations are computed on a CPU: numba kernels over numpy arrays."""
