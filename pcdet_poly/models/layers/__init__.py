"""The parts that detectors are put together from: encoders, backbones, heads."""
