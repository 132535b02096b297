"""Size of a detector: parameters, arithmetic, memory."""
