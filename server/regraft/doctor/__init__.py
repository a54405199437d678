"""What may be wrong with a home or with this machine, and what to do about it."""
