"""Models answer where only the packages of the image that answers are."""

import json

from regraft.registry.home import Home
from tests.deploy.without import without_the_others

ANSWER = """
import asyncio
from pathlib import Path
from regraft.registry.home import Home
from regraft.serving.pool import new_pool
from regraft.serving.sessions import Runtime

async def answered(pool):
    await pool.refresh()
    return {name: pool.find(name).versions for name in sys.argv[3:]}

pool = new_pool(Home(Path(sys.argv[2])), Runtime())
print(json.dumps(asyncio.run(answered(pool))))
"""


def test_models_are_loaded_without_what_adapts(published: Home) -> None:
    """Loading warms them up with rows of their own. The shared server may have more of them."""
    told = json.loads(without_the_others(ANSWER, str(published.root), "tweets", "tiny"))
    assert set(told) == {"tweets", "tiny"}
