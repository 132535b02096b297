"""Our code beside numbers of other projects."""
