"""What predictions and labels from files must satisfy before they are compared."""
