"""Registry state becomes Ray Serve state, and a local Ray lives and dies with its server."""
