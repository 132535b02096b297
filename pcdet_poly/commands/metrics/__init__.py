"""Commands that compute metrics, or hand detections to those who do."""
