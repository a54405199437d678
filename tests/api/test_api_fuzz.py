"""Whatever fits the API's own description, and much that does not: no answer is a failure of ours.

A tenth of the cases; `REGRAFT_TEST_FUZZ=5000` asks for all.
"""

import os
from collections import Counter
from contextlib import suppress
from itertools import count, product
from pathlib import Path

import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from regraft.plugins import Plugins
from regraft.registry.store import Registry
from regraft.settings import Settings
from tests.api.conftest import Site

CASES = int(os.environ.get("REGRAFT_TEST_FUZZ", "500"))
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
EXAMPLES = 7
"""Of an operation and a mode, a round."""


def test_no_answer_is_a_failure_of_ours(tmp_path: Path, plugins: Plugins) -> None:
    site = Site(Registry(tmp_path), plugins, Settings(home=tmp_path))
    site.publish()
    run = site.submit().json()["id"]
    assert site.http.post(f"/v1/adaptations/{run}/cancel", json={}).status_code < 300
    known = {"name": "tweets", "version": 1, "identifier": run}
    described = schemathesis.openapi.from_asgi("/openapi.json", site.app)
    operations = [found.ok() for found in described.get_all_operations()]
    answered: Counter[int] = Counter()

    def ask(case: Case) -> None:
        if sum(answered.values()) % 2:  # what exists is asked for as often as what is made up
            case.path_parameters = {
                name: known.get(name, value) for name, value in case.path_parameters.items()
            }
        answer = case.call()
        answered[answer.status_code] += 1
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"][0] == "application/problem+json"
            assert {"type", "title", "status", "detail"} <= answer.json().keys()

    share = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    for number in count():
        for operation, mode in product(operations, MODES):
            asked = given(operation.as_strategy(generation_mode=mode))(ask)
            with suppress(Unsatisfiable):  # a route that takes nothing has nothing wrong to take
                seed(number)(share(asked))()
        if sum(answered.values()) >= CASES:
            break
    print(f"{sum(answered.values())} cases of {len(operations)} operations: {dict(answered)}")
    assert answered[200] > CASES / 20
