"""Commands that make, use and change run folders."""
