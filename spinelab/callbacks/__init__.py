"""What looks on while a network trains."""
