"""Our code beside numbers that other projects' own code gave for the same inputs."""
