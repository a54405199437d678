"""What a training has reserved on the cluster, to be given back once its process is gone.

Ray gives placement groups back when the job ends whose process made them, and that is the server.
Ray Train's own remedy asks the dashboard, which servers and nodes of ours do without.
"""

import contextlib
from pathlib import Path

from ray import PlacementGroupID
from ray.util import get_current_placement_group, remove_placement_group
from ray.util.placement_group import PlacementGroup

PREFIX = ".group-"


def note_group(directory: Path) -> None:
    """Keep in the folder of a run by which group this process of it is here, if it is by one."""
    group = get_current_placement_group()
    if group is not None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{PREFIX}{group.id.hex()}").touch()


def release_groups(directory: Path) -> None:
    """Give back what the processes of the run in this folder had reserved. To be called when they
    are known to be gone."""
    for note in directory.rglob(f"{PREFIX}*"):
        identifier = PlacementGroupID.from_hex(note.name.removeprefix(PREFIX))
        remove_placement_group(PlacementGroup(identifier))
        with contextlib.suppress(FileNotFoundError):
            note.unlink()
