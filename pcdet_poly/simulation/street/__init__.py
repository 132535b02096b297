"""The street of a simulated segment: its course, land, buildings and traffic."""
