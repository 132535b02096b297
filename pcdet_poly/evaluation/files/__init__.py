"""Files of detections and labels, read and written for the metric."""
