"""The paper's questions about classification, asked of a residual network on real handwritten digits."""
