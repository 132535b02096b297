"""Looking at frames: a window, a page for the browser, pictures."""
