"""What a transcript of Whisper's own decoder is written in."""

CHARACTERS = tuple(chr(code) for code in range(32, 127))
"""Printable ASCII. What a transcript has beside it is left out."""
