"""Mask R-CNN and RetinaNet with our classification losses, on small scenes of real digits over real photographs."""
