"""`regraft rank`, in this process."""

from pathlib import Path
from typing import Any

from regraft.registry.home import Home
from regraft.registry.store import Registry


def test_sources_are_ranked_by_the_features_of_real_rows(
    regraft: Any, reviews: Path, tiny_bert: Path, fresh_home: Home
) -> None:
    sources = f"{tiny_bert},{tiny_bert}?init=random,efficientnet-lite0"
    exports = {*(fresh_home.cache / "exports").iterdir()}
    spaced = sources.replace(",", ", ")
    found = regraft("rank", str(reviews), "--sources", spaced, "--json").json
    assert {*(fresh_home.cache / "exports").iterdir()} == exports, "a guess exports nothing"
    assert {row["source"] for row in found["ranking"]} == {*sources.split(",")[:2]}
    ranks = [row["rank"] for row in found["ranking"]]
    assert ranks == sorted(ranks)
    assert found["rows"] == 42
    assert "takes image" in found["refused"]["efficientnet-lite0"]
    assert set(found["seconds"]) == {*sources.split(","), "total"}
    assert Registry(fresh_home.root).runs.all() == []


def test_it_asks_no_server(regraft: Any, reviews: Path) -> None:
    done = regraft("rank", str(reviews), "--url", "http://127.0.0.1:9")
    assert done.code == 2
    assert "it asks no server" in done.err


def test_people_are_told_that_it_is_a_guess_and_what_it_cost(
    regraft: Any, reviews: Path, tiny_bert: Path
) -> None:
    done = regraft("rank", str(reviews), "--sources", str(tiny_bert))
    assert "A guess from the frozen features of 42 rows, not a result" in done.out
    assert "It took" in done.out


def test_what_too_few_rows_cannot_tell_is_null(
    regraft: Any, tmp_path: Path, tiny_bert: Path
) -> None:
    few = tmp_path / "few.csv"
    few.write_text("text,label\n" + "".join(f"film {n},{'ab'[n % 2]}\n" for n in range(6)))
    done = regraft("rank", str(few), "--sources", str(tiny_bert), "--json")
    assert "NaN" not in done.out
    assert done.json["ranking"][0]["probe_accuracy"] is None


def test_nothing_to_rank_is_an_error_with_each_reason(regraft: Any, reviews: Path) -> None:
    done = regraft("rank", str(reviews), "--sources", "efficientnet-lite0,nonesuch")
    assert done.code == 2
    assert "efficientnet-lite0: Task 'text-classification' takes text" in done.err
    assert "nonesuch: Unknown source model" in done.err
