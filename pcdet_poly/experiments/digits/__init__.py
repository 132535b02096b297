"""A study of the loss family on real handwritten digits."""
