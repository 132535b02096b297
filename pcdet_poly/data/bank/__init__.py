"""A bank of labelled objects cut out of frames, and pasting them into others."""
