"""`regraft doctor`, `clean`, `backup` and `restore`: what is wrong with a home, what is in it for
nothing, and a copy of it."""

from pathlib import Path

import click

from regraft.cli.options import settings_from
from regraft.cli.output import print_json, stderr, stdout
from regraft.doctor.examination import examine
from regraft.registry.backup import backup as make_backup
from regraft.registry.backup import restore as make_home
from regraft.registry.cleaning import clean as make_clean
from regraft.registry.cleaning import retention_of
from regraft.registry.home import Home
from regraft.registry.store import Registry

HOME = click.option("--home", envvar="REGRAFT_HOME", help="The home directory [~/.regraft].")
JSON_OUT = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.command()
@HOME
@JSON_OUT
def doctor(home: str | None, as_json: bool) -> None:
    """Look at the home and at this machine; exits with 1 if something is wrong."""
    found = list(examine(settings_from(home=home)))
    ill = any(one.findings for one in found)
    if as_json:
        print_json([one.as_dict() for one in found])
    else:
        for one in found:
            stdout().print(f"{'✗' if one.findings else '✓'} {one.check}")
            for finding in one.findings:
                stdout().print(f"    {finding.problem}\n    → {finding.mend}", soft_wrap=True)
    if ill:
        raise click.exceptions.Exit(1)


@click.command()
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would go.")
@HOME
@JSON_OUT
def clean(dry: bool, home: str | None, as_json: bool) -> None:
    """Remove what nothing needs any more, such as the files of deleted versions. Nothing younger
    than a day goes. A server does this by itself, every hour."""
    settings = settings_from(home=home)
    registry = Registry.of(settings)
    cleaned = make_clean(registry, retention_of(settings), dry).as_dict()
    if as_json:
        print_json(cleaned)
        return
    went = ", ".join(f"{count:,} {kind}" for kind, count in cleaned["removed"].items())
    verb = "would go" if dry else "removed"
    told = f"{verb}: {went}; {cleaned['bytes'] / 2**20:,.1f} MiB" if went else "nothing to remove"
    stdout().print(told)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@HOME
@JSON_OUT
def backup(file: Path, home: str | None, as_json: bool) -> None:
    """Write the home into a new FILE, also while a server runs on it. Keep it as you would keep the
    home: it holds the data sets and the hashes of keys."""
    settings = settings_from(home=home)
    made = make_backup(Registry.of(settings), file)
    if as_json:
        print_json(made)
    else:
        stderr().print(f"{made['files']} files, {made['bytes'] / 2**20:,.1f} MiB in {file}")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@HOME
@JSON_OUT
def restore(file: Path, home: str | None, as_json: bool) -> None:
    """Make a home of the FILE that `regraft backup` wrote; it must not be there yet."""
    made = make_home(file, Home(settings_from(home=home).resolved_home))
    if as_json:
        print_json(made)
    else:
        stderr().print(f"{made['files']} files in {made['home']}")
