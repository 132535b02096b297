"""Simulated studies whose truth is known: how often the report's rules err."""
