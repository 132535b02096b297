"""The command `pcdet-poly` and its sub-commands: one file each, and one parser for all."""
