"""The loss family in pictures, and what it did in finished runs."""
