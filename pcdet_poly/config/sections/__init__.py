"""One file per section of a config: its settings, their units and their checks."""
