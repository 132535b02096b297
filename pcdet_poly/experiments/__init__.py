"""Studies on top of everything else: what a loss does, and what it is worth."""
