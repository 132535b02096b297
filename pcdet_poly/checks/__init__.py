"""What data must satisfy before a number is computed from it, whichever way it comes in."""
