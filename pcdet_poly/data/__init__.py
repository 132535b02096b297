"""Frames on disk and on their way to a network: store, dataset, augmentation, batches."""
