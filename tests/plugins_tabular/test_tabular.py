"""Tables: what is learnt of columns, what requests may carry, and related tables as sources."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from regraft.data.load import load_dataset
from regraft.domain import AdaptationSpec
from regraft.errors import DataError, InvalidInputError
from regraft.plugins import Plugins
from regraft.settings import Settings
from regraft.testing import check_source_model
from regraft_tabular.baseline import boosted_trees
from regraft_tabular.classification import TabularClassification, one_against_others
from regraft_tabular.columns import as_number, encode, learn_columns, size_of, spelt
from regraft_tabular.pretrained import RelatedTable
from regraft_tabular.source import table_inputs

ROWS = [
    {"age": "50", "site": "left", "same": "x", "id": "a1", "smokes": "yes"},
    {"age": "", "site": "right", "same": "x", "id": "b2", "smokes": "no"},
    {"age": "30", "site": "left", "same": "x", "id": "c3", "smokes": ""},
]


def test_columns_that_tell_something_are_kept() -> None:
    columns = learn_columns(ROWS)
    assert [(c["name"], c["kind"]) for c in columns] == [
        ("age", "number"),
        ("site", "category"),
        ("smokes", "category"),
    ]
    assert (columns[0]["mean"], columns[0]["deviation"], columns[0]["missing"]) == (40, 10, True)
    assert size_of(columns) == 2 + 2 + 2


@pytest.mark.parametrize("absent", ["NA", "nan", "?", "null"])
def test_unknown_numbers_however_spelt_leave_a_column_of_numbers(absent: str) -> None:
    cells = ["1.5", absent, "2.5", absent, "3.5"]
    (column,) = learn_columns([{"size": cell} for cell in cells])
    assert (column["kind"], column["mean"], column["missing"]) == ("number", 2.5, True)
    assert encode([{"size": absent}], [column], 2).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("cells", "mean"),
    [(["1,5", "2,5", "3"], 7 / 3), (["1,500", "2,500", "3"], 4003 / 3), (["1,500", "2,5"], 2.0)],
)
def test_commas_in_numbers_are_understood(cells: list[str], mean: float) -> None:
    (column,) = learn_columns([{"size": cell} for cell in cells])
    assert (column["kind"], column["mean"]) == ("number", pytest.approx(mean))
    values = encode([{"size": cell} for cell in cells], [column], 1)[:, 0]
    assert values.mean() == pytest.approx(0, abs=1e-6)
    assert np.ptp(values) > 1


def test_one_value_has_one_spelling_in_file_and_request() -> None:
    file = [" Private", "True", "1.0", "0.50", "007", "NA"]
    asked = ["Private", True, 1, 0.5, "007", "NA"]
    assert [spelt(cell) for cell in file] == [spelt(cell) for cell in asked]
    assert spelt("007") == "007"
    column = {"name": "work", "kind": "category", "values": [" Private", " State-gov"]}
    assert encode([{"work": "Private"}], [column], 2).tolist() == [[1, 0]], "as it was stored"


def test_an_index_of_the_rows_is_no_feature(tmp_path: Path) -> None:
    rows = [(n + 1, n % 7, "ab"[n >= 20]) for n in range(40)]
    text = "\n".join([",x,label", *(f"{i},{x},{label}" for i, x, label in rows)])
    for header in ("", "rownames"):
        (tmp_path / "d.csv").write_text(header + text)
        spec = AdaptationSpec(name="x", source="plain-table", data=str(tmp_path / "d.csv"))
        data = load_dataset(spec, TabularClassification, Settings())
        assert set(data.train.inputs[0]) == {"x"}
        assert f"it only numbers the rows: the column '{header}'" in data.notes[0]
    related = RelatedTable("r", tmp_path / "d.csv", "label")
    assert [column["name"] for column in related.columns] == ["x"]


def test_nothing_but_an_index_is_no_table(tmp_path: Path) -> None:
    lines = ["id,label", *(f"{n},{'ab'[n % 2]}" for n in range(20))]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    spec = AdaptationSpec(name="x", source="plain-table", data=str(tmp_path / "d.csv"))
    with pytest.raises(
        DataError, match="beside the label and 'id', which numbers the rows: a row needs"
    ):
        load_dataset(spec, TabularClassification, Settings())


def test_trees_split_a_small_table() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 3))
    rows = [{f"c{n}": str(v) for n, v in enumerate(row)} for row in values]
    targets = (values[:, 0] > 0).astype(int)
    fitted = boosted_trees(0).fit(rows, targets)
    assert (fitted.predict_proba(rows).argmax(1) == targets).mean() > 0.9


def test_rows_become_numbers() -> None:
    values = encode([*ROWS, {"age": "1e9", "site": "top"}], learn_columns(ROWS), 8)
    assert values.tolist() == [
        [1, 0, 1, 0, 0, 1, 0, 0],
        [0, 1, 0, 1, 1, 0, 0, 0],
        [-1, 0, 1, 0, 0, 0, 0, 0],
        [10, 0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.fixture
def task() -> TabularClassification:
    inputs = TabularClassification.completed(table_inputs([], 8), ROWS)
    return TabularClassification(inputs, ("no", "yes"))


def test_a_request_has_a_tensor_for_each_column(task: TabularClassification) -> None:
    assert [(t.name, t.datatype) for t in task.request_tensors()] == [
        ("age", "FP32"),
        ("site", "BYTES"),
        ("smokes", "BYTES"),
    ]
    texts = np.empty(2, object)
    texts[:] = [b"left", b""]
    age = np.array([50, np.nan], np.float32)
    rows = task.rows({"age": age, "site": texts, "smokes": texts})
    assert rows[0] == {"age": 50, "site": "left", "smokes": "left"}
    assert task.encode(rows)["values"][:, :4].tolist() == [[1, 0, 1, 0], [0, 1, 0, 0]]
    with pytest.raises(InvalidInputError, match="as many rows"):
        task.rows({"age": age[:1], "site": texts, "smokes": texts})


def test_people_send_objects_or_their_text(task: TabularClassification) -> None:
    row = {"age": 50, "site": None, "smokes": "yes", "more": 1}
    assert task.read_inputs([row, json.dumps(row)]) == [row, row]
    for wrong, message in (
        ({"age": 1}, "lacks site, smokes.*null stands for"),
        ("{", "no JSON object"),
        ([1], "objects with a field for each column"),
        ({**row, "age": [1]}, "'age' must be a number, a text or null"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            task.read_inputs([wrong])


def test_figures_of_one_class_against_the_others() -> None:
    scores, actual = np.array([0.9, 0.8, 0.4, 0.3]), np.array([True, False, True, False])
    found = one_against_others(scores, scores > 0.5, actual)
    assert found == {"sensitivity": 0.5, "specificity": 0.5, "roc_auc": 0.75}
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    scores, actual = rng.integers(0, 9, 200) / 9, rng.random(200) < 0.3
    area = one_against_others(scores, scores > 0.5, actual)["roc_auc"]
    assert area == pytest.approx(roc_auc_score(actual, scores))
    assert one_against_others(scores, scores > 0.5, actual & False)["roc_auc"] is None


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The breast cancer table of scikit-learn, real data: a related part, few rows, and a test."""
    from sklearn.datasets import load_breast_cancer

    data, folder = load_breast_cancer(), tmp_path_factory.mktemp("cancer")
    names = [str(name).replace(" ", "_") for name in data.feature_names]
    order = np.random.default_rng(0).permutation(len(data.data))
    parts = {"related": order[:250], "few": order[250:310], "test": order[310:]}
    for part, rows in parts.items():
        with (folder / f"{part}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*names, "diagnosis"])
            writer.writerows([*data.data[i], data.target_names[data.target[i]]] for i in rows)
    return {part: folder / f"{part}.csv" for part in parts}


def test_related_table_is_a_source_model_that_is_always_the_same(
    cancer: dict[str, Path], plugins: Plugins
) -> None:
    reference = f"table:{cancer['related']}#diagnosis"
    source = plugins.open_source(reference)
    assert isinstance(source, RelatedTable)
    check_source_model(source)
    one, two = (RelatedTable(reference, cancer["related"], "diagnosis").weights for _ in range(2))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(one, two, strict=True))


def test_related_table_with_random_weights_has_learnt_nothing(
    plugins: Plugins, cancer: dict[str, Path]
) -> None:
    reference = f"table:{cancer['related']}#diagnosis"
    trained, untrained = (
        plugins.open_source(reference + random) for random in ("", "?init=random")
    )
    assert isinstance(trained, RelatedTable)
    assert isinstance(untrained, RelatedTable)
    assert trained.fingerprint() != untrained.fingerprint()
    for (one, _), (other, _) in zip(trained.weights, untrained.weights, strict=True):
        assert one.shape == other.shape
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1
    with pytest.raises(InvalidInputError, match="Options of this reference: init"):
        plugins.open_source(f"{reference}?size=3")


@pytest.mark.parametrize(
    ("suffix", "message"),
    [("", "the label column is missing"), ("#none", "has no column 'none'")],
)
def test_wrong_related_table_is_told(
    cancer: dict[str, Path], plugins: Plugins, suffix: str, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        plugins.open_source(f"table:{cancer['related']}{suffix}")


def test_data_without_the_columns_of_the_source_is_refused(cancer: dict[str, Path]) -> None:
    source = RelatedTable("x", cancer["related"], "diagnosis")
    with pytest.raises(InvalidInputError, match=r"lacks columns .* trained on: mean_radius"):
        TabularClassification.completed(source.inputs, [{"age": "1"}])


def test_cancer_is_told_and_both_kinds_of_error_are_reported(
    cancer: dict[str, Path], plugins: Plugins, tmp_path: Path
) -> None:
    from regraft.adaptations.context import Context
    from regraft.adaptations.queries import show_version
    from regraft.adaptations.run import run
    from regraft.domain import AdaptationSpec
    from regraft.registry.store import Registry
    from regraft.settings import Settings

    registry = Registry(tmp_path)
    spec = AdaptationSpec(
        name="cancer",
        data=str(cancer["few"]),
        test=str(cancer["test"]),
        task="tabular-classification",
        source=f"table:{cancer['related']}#diagnosis",
    )
    adaptation, _ = registry.runs.submit(spec)
    run(Context(adaptation, registry, plugins, Settings(home=tmp_path, threads=1)))
    report = show_version(registry, "cancer", 1)["report"]
    malignant = next(r for r in report["metrics"]["per_class"] if r["label"] == "malignant")
    assert malignant["sensitivity"] > 0.8
    assert malignant["specificity"] > 0.9
    assert malignant["roc_auc"] > 0.97
    assert report["parity"]["argmax_agreement"] == 1


def test_column_of_the_input_cannot_be_named(cancer: dict[str, Path]) -> None:
    spec = AdaptationSpec(
        name="x", data=str(cancer["few"]), source="plain-table", input_column="mean_radius"
    )
    with pytest.raises(DataError, match="leave --input-column out"):
        load_dataset(spec, TabularClassification, Settings())


def test_values_of_json_are_those_of_a_file() -> None:
    columns = learn_columns([{"smoker": v, "grade": g} for v, g in (("true", "2"), ("false", "x"))])
    from_file, from_json = (
        encode([row], columns, 4)
        for row in ({"smoker": "true", "grade": "2"}, {"smoker": True, "grade": 2.0})
    )
    assert np.array_equal(from_file, from_json)
    assert from_file.any()
    assert as_number(10**400) is None


def test_other_order_of_columns_is_the_same_row_and_a_lost_column_is_told(tmp_path: Path) -> None:
    rows = [(3 * number, number % 7, "ab"[number % 2]) for number in range(30)]
    files = {
        "data": ["x,y,label", *(f"{x},{y},{label}" for x, y, label in rows)],
        "same": ["y,x,label", *(f"{y},{x},{label}" for x, y, label in rows[:10])],
        "lost": ["x,label", *(f"{x},{label}" for x, _, label in rows[:10])],
    }
    for name, lines in files.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    values = {"name": "x", "source": "plain-table", "data": str(tmp_path / "data.csv")}
    same = AdaptationSpec(**values, test=str(tmp_path / "same.csv"))
    assert len(load_dataset(same, TabularClassification, Settings()).train) < 20
    lost = AdaptationSpec(**values, test=str(tmp_path / "lost.csv"))
    with pytest.raises(DataError, match="no column 'y'"):
        load_dataset(lost, TabularClassification, Settings())


def test_only_csv_files_are_read_as_related_tables(plugins: Plugins, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("root:x:0\n")
    with pytest.raises(InvalidInputError, match="no CSV file") as caught:
        plugins.open_source(f"table:{tmp_path / 'secret'}#x")
    assert "x:0" not in str(caught.value)
    (tmp_path / "ragged.csv").write_text("a,y\n1,b,2\n2,c\n")
    with pytest.raises(InvalidInputError, match=r"Row 1 of .* has more cells"):
        plugins.open_source(f"table:{tmp_path / 'ragged.csv'}#y")
