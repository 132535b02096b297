"""numba kernels: compiled once per machine, kept on disk, compiled again when what they depend on changes."""
