"""Frames of a store on their way to a network: sweeps, augmentation, batches."""
