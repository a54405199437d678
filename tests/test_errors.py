"""What errors tell."""

import pytest

from regraft.errors import COMPARED, LISTED, UnknownNameError

MANY = [f"customer-sentiment-{number:04d}-model" for number in range(1000)]


def test_few_names_are_all_listed_in_order() -> None:
    names = [f"n{number:02d}" for number in range(LISTED)]
    text = str(UnknownNameError("endpoint", "else", reversed(names)))
    assert text == f"Unknown endpoint 'else'. Known: {', '.join(names)}."
    assert str(UnknownNameError("endpoint", "else", [])) == "Unknown endpoint 'else'. Known: none."


def test_of_many_names_the_first_are_listed_and_the_others_counted() -> None:
    text = str(UnknownNameError("endpoint", "else", MANY))
    assert (
        text
        == f"Unknown endpoint 'else'. Known: {', '.join(MANY[:LISTED])} and {1000 - LISTED} more."
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "customer-sentiment-0500-modell",
        "customer-sentiment-0500-mode",
        "customer-sentiment-0500_model",
        "customer-sentimnet-0500-model",
    ],
)
def test_of_many_names_the_nearest_is_told_where_they_begin_alike(wrong: str) -> None:
    others = [f"{number:04d}-of-another-kind" for number in range(1000)]
    known = [*others, *MANY[::100]]
    assert "Did you mean 'customer-sentiment-0500-model'?" in str(
        UnknownNameError("endpoint", wrong, known)
    )


def test_of_many_names_the_nearest_is_told_where_they_end_alike() -> None:
    known = [f"customer-sentiment-{number:04d}" for number in range(1000)]
    assert "Did you mean 'customer-sentiment-0500'?" in str(
        UnknownNameError("endpoint", "custmoer-sentiment-0500", known)
    )


def test_a_name_is_compared_with_a_hundred_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    monkeypatch.setattr(
        "regraft.errors.get_close_matches", lambda _, names, n: compared.append(len(names)) or []
    )
    for known in (MANY[:COMPARED], MANY, [f"{number}-model" for number in range(1000)]):
        UnknownNameError("endpoint", "customer-sentiment-0500-model", known)
    assert compared[0] == COMPARED
    assert 0 < max(compared[1:]) <= COMPARED
