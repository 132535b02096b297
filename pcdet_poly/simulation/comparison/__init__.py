"""Simulated frames beside real ones, as numbers and as pictures."""
