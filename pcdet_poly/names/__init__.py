"""Names that come from data, files and users: how they become names of files, and how they are shown."""
