"""`regraft node`: one node of a Ray cluster, for `regraft serve --address` and what it trains."""

from typing import Any

import click

from regraft.cli.options import settings_from


@click.command()
@click.option("--address", help="HOST:PORT of the head to join; without it this is the head.")
@click.option("--host", help="The address of this machine that the other nodes reach [127.0.0.1].")
@click.option("--port", type=int, default=6379, show_default=True, help="Of a head.")
@click.option("--cpus", type=int, help="For training and dedicated endpoints [all].")
@click.option(
    "--role",
    "roles",
    type=click.Choice(["serve", "control", "train"]),
    multiple=True,
    help="What this node is for, where the server has REGRAFT_ROLES=true.",
)
@click.option("--home", envvar="REGRAFT_HOME", help="The home directory, which all nodes share.")
def node(
    address: str | None, port: int, cpus: int | None, roles: tuple[str, ...], **given: Any
) -> None:
    """Start Ray on this machine as a server needs it, until Ctrl-C or SIGTERM."""
    from regraft.reconcile.node import Node, become

    become(Node(settings_from(**given), address, port, cpus, roles))
