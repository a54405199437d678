"""The same classifier behind other servers."""
