"""Training and evaluation: the run folder, the loop, checkpoints."""

import os

# Idle OpenMP threads sleep instead of spinning, so that they leave their core to the processes that
# read data. libgomp reads this once, when torch loads it: hence here, before any import of torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
