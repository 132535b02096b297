"""Settings: a schema with every setting, and YAML files read against it."""
