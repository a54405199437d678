"""Serving: predictions without torch, and without a Python hop before them."""
