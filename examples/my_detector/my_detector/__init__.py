"""A detector, a loss and a reader of frames that plug into pcdet_poly without a change to it."""
