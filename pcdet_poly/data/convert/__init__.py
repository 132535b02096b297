"""Files of other formats -> a frame store, and the checking of stores."""
