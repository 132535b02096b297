"""The checking of stores: damage, values that cannot be meant, and what their frames hold in pictures of text."""
