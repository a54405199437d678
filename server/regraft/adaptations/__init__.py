"""Strings the stages together: from what a user asks for to a published version."""
