"""The `regraft` command: its commands, and what its exit codes mean."""

import logging
import os
import sys
import warnings

import click

from regraft.cli.adapt import adapt
from regraft.cli.catalogue import plugins, sources, strategies, tasks
from regraft.cli.config import config
from regraft.cli.demo import demo
from regraft.cli.doctor import backup, clean, doctor, restore
from regraft.cli.endpoints import endpoints
from regraft.cli.keys import keys, login
from regraft.cli.manage import adaptations, datasets, models
from regraft.cli.node import node
from regraft.cli.output import release_stdout
from regraft.cli.predict import predict
from regraft.cli.rank import rank
from regraft.cli.serve import serve
from regraft.errors import CancelledRunError, RegraftError
from regraft.threads import yield_soon

INVALID, FAILED, CANCELLED = 2, 1, 130

logger = logging.getLogger(__name__)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="regraft")
def regraft() -> None:
    """Adapt a pretrained model to your labelled data, judge it honestly, serve it."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    warnings.simplefilter("ignore")


for command in (
    adapt,
    rank,
    serve,
    node,
    predict,
    models,
    adaptations,
    datasets,
    endpoints,
    sources,
    tasks,
    strategies,
    plugins,
    keys,
    login,
    config,
    doctor,
    clean,
    backup,
    restore,
    demo,
):
    regraft.add_command(command)


def main() -> None:
    """Run the command; 2 is bad input, 1 a failed run, 130 a cancelled one."""
    yield_soon()
    code = run(sys.argv[1:])
    if "ray" in sys.modules:
        # Ray's threads may print while the interpreter winds down, which then aborts.
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """The exit code of a command line; messages go to stderr."""
    try:
        regraft.main(args=arguments, prog_name="regraft", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (CancelledRunError, KeyboardInterrupt, click.Abort):
        click.echo("Cancelled.", err=True)
        return CANCELLED
    except RegraftError as error:
        click.echo(f"Error: {error}", err=True)
        return INVALID if error.status < 500 or error.status == 501 else FAILED
    except Exception as error:
        # A defect, of ours or of a plugin: its traceback is for who asks for it.
        logger.debug("The command failed.", exc_info=True)
        click.echo(f"Error: internal: {type(error).__name__}: {error}", err=True)
        return FAILED
    finally:
        release_stdout()
    return 0
