"""Pictures, drawn without a display."""
