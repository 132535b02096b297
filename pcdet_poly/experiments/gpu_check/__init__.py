"""A GPU in one command: its kernels, what operations and networks take on it, and what several GPUs tell each other."""
