"""Files of other formats -> a frame store."""
