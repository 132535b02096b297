"""Commands that show a setting, a size or a picture."""
