"""What was published, and what is being made."""
