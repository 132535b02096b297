"""Parts of PillarNeXt between pillars and head: sparse stages, and a neck of one resolution."""
