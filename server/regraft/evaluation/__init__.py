"""How good the result is, and whether transfer helped."""
