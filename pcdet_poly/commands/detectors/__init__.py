"""Commands that train, evaluate and use detectors."""
