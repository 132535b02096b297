"""Maps of a network -> detections."""
