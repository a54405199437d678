"""A Python that has the packages of the image that only answers, and no others."""

import json
import os
import subprocess
import sys

from tests.deploy.serve_packages import missing_modules

BLOCK = """
import importlib.abc, json, sys

class Missing(importlib.abc.MetaPathFinder):
    names = frozenset(json.loads(sys.argv[1]))

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names or name in ("ray.train", "ray.tune"):
            raise ModuleNotFoundError(f"not in the image: {name}")

sys.meta_path.insert(0, Missing())
"""


def without_the_others(script: str, *arguments: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + script, json.dumps(missing_modules()), *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
