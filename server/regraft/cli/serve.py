"""`regraft serve`: a server on this machine, or on a cluster."""

from contextlib import suppress
from typing import Any

import click

from regraft.cli.options import settings_from
from regraft.cli.output import print_json, reserve_stdout, stderr
from regraft.registry.ray_token import let_in


@click.command()
@click.option("--host", help="Where to listen [127.0.0.1].")
@click.option("--port", type=int, help="0 chooses a free one [8000].")
@click.option("--grpc-port", type=int, help="0 chooses a free one [8001].")
@click.option("--home", envvar="REGRAFT_HOME", help="The home directory [~/.regraft].")
@click.option("--address", help="A Ray cluster to join; a local one is started otherwise.")
@click.option("--replicas", type=int, help="Of the shared pool [2].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def serve(as_json: bool, **given: Any) -> None:
    """Serve every endpoint, and take adaptations, until Ctrl-C or SIGTERM."""
    reserve_stdout()
    settings = settings_from(**given)
    let_in(settings)  # before what follows imports Ray
    from regraft.api.control_plane import ControlPlane
    from regraft.reconcile.server import running
    from regraft.reconcile.signals import wait_for_signal

    console = stderr()
    console.print("starting …", style="dim")
    with suppress(KeyboardInterrupt), running(settings, ControlPlane, console.print) as at:
        if as_json:
            print_json({"url": at.url, "grpc": at.grpc, "home": str(settings.resolved_home)})
        served = (
            f"regraft serves {settings.resolved_home} at {at.url} (docs: {at.url}/docs), "
            f"gRPC at {at.grpc}"
        )
        console.print(served, soft_wrap=True)
        wait_for_signal()
