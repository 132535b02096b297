"""The frame store: one folder of frames with random access, and its format."""
