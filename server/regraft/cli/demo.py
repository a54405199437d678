"""`regraft demo`: the main job on real data."""

import click


@click.group()
def demo() -> None:
    """See the main job on real data."""
