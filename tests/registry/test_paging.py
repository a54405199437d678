"""Lists a page at a time: whole and in order, whatever is added meanwhile."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regraft.domain import AdaptationSpec, Blob
from regraft.errors import InvalidInputError
from regraft.registry.paging import Window
from regraft.registry.store import Registry


@pytest.fixture
def registry(tmp_path: Path, database: str | None) -> Registry:
    return Registry(tmp_path, database)


def test_versions_come_in_pages_by_name_and_number(registry: Registry) -> None:
    for name in ("a", "b", "a", "c", "a"):
        registry.models.publish(name, Blob("a" * 64, 1), {}, True)
    found, cursor = [], None
    while True:
        page = registry.models.page(Window(2, cursor))
        assert 0 < len(page.items) <= 2
        found += [(one.name, one.version) for one in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1)]
    names = registry.models.endpoint_page(Window(2))
    rest = registry.models.endpoint_page(Window(2, names.next))
    assert [one.name for one in (*names.items, *rest.items)] == ["a", "b", "c"]


def test_what_is_added_meanwhile_moves_nothing(registry: Registry) -> None:
    def submit() -> str:
        spec = AdaptationSpec(name="tweets", source="minilm-l6", data="dataset:d-0")
        return registry.runs.submit(spec)[0].id

    made = [submit() for _ in range(5)]
    first = registry.runs.page(Window(2))
    submit()
    second = registry.runs.page(Window(10, first.next))
    assert [run.id for run in (*first.items, *second.items)] == made[::-1]
    assert second.next is None


@pytest.mark.parametrize("cursor", ["x", "é", "W10=", "WzFd", "WyJhIiwgImIiXQ==", "bnVsbA=="])
def test_a_cursor_of_anything_else_is_refused(registry: Registry, cursor: str) -> None:
    with pytest.raises(InvalidInputError, match="cursor"):
        registry.models.page(Window(2, cursor))


@given(cursor=st.text(max_size=40))
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=50)
def test_any_text_is_a_cursor_or_is_refused(registry: Registry, cursor: str) -> None:
    with suppress(InvalidInputError):
        registry.runs.page(Window(2, cursor))
