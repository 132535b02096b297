"""Operations over numpy arrays, for processes that read and write frames, and kernels that other kernels call."""
