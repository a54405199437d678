"""Ranking: the measures against their definitions, and what each must tell apart."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, isnan, log, nan, pi

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression

from regraft.contract import Array, Folds
from regraft.ranking import (
    BLOCK,
    LOGIT_VARIANCE,
    Evidence,
    Measures,
    class_evidence,
    h_score,
    log_evidence,
    mean_ranks,
    measure,
    neighbour_accuracy,
    probe_accuracy,
)
from regraft.testing.strategy import even_folds

SHAPES = [(60, 12), (40, 40), (12, 60), (30, 300)]
TIES = Measures(0.5, 0.5, 0.5, 0.5)


def features_and_targets(rows: int, size: int, signal: float, seed: int = 0) -> tuple[Array, Array]:
    """Three classes, whose centres are `signal` times as far apart as rows of one class."""
    rng = np.random.default_rng(seed)
    targets = np.arange(rows) % 3
    centres = signal * rng.normal(size=(3, size))
    return centres[targets] + rng.normal(size=(rows, size)) + 0.5, targets


def exact_evidence(features: Array, column: Array, alpha: float, beta: float) -> float:
    """The log density of a normal column with covariance I/β + FFᵀ/α, in nats a row."""
    rows = len(column)
    covariance = np.eye(rows) / beta + features @ features.T / alpha
    _, volume = np.linalg.slogdet(covariance)
    distance = column @ np.linalg.solve(covariance, column)
    return float(-(volume + distance + rows * log(2 * pi)) / 2 / rows)


def assert_greatest(features: Array, column: Array, found: Evidence) -> None:
    """The value is that of its precisions, and no others near them have a greater one."""
    alpha, beta = found.alpha, found.beta
    assert found.value == pytest.approx(exact_evidence(features, column, alpha, beta), abs=1e-6)
    for a, b in ((1.1, 1), (0.9, 1), (1, 1.1), (1, 0.9), (1.1, 1.1), (0.9, 0.9)):
        assert exact_evidence(features, column, alpha * a, beta * b) < found.value + 1e-6


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rows", "size"), SHAPES)
def test_evidence_is_the_greatest_of_the_normal_density(rows: int, size: int, seed: int) -> None:
    features, targets = features_and_targets(rows, size, 0.5, seed)
    column = (targets == 0).astype(float)
    assert_greatest(features, column, class_evidence(features, column))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rows", "size"), SHAPES)
def test_evidence_of_labels_without_signal_is_exact_too(rows: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, column = rng.normal(size=(rows, size)), rng.integers(0, 2, rows).astype(float)
    column[0] = 1
    assert_greatest(features, column, class_evidence(features, column))


@pytest.mark.parametrize(("rows", "size"), [(60, 12), (40, 60)])
def test_precisions_solve_the_equations_of_the_paper(rows: int, size: int) -> None:
    features, targets = features_and_targets(rows, size, 0.3)
    column = (targets == 1).astype(float)
    found = class_evidence(features, column)
    precision = found.alpha * np.eye(size) + found.beta * features.T @ features
    weights = found.beta * np.linalg.solve(precision, features.T @ column)
    effective = size - found.alpha * np.trace(np.linalg.inv(precision))
    residual = np.square(column - features @ weights).sum()
    assert found.alpha == pytest.approx(effective / (weights @ weights), rel=1e-4)
    assert found.beta == pytest.approx((rows - effective) / residual, rel=1e-4)


def test_log_evidence_is_the_mean_over_the_classes_that_occur() -> None:
    features, targets = features_and_targets(30, 8, 1)
    labels = targets * 5 + 2
    alone = [class_evidence(features, (targets == c).astype(float)).value for c in range(3)]
    assert log_evidence(features, labels) == pytest.approx(np.mean(alone), abs=1e-12)


@pytest.mark.parametrize("size", [10, 200])
def test_evidence_rises_with_the_signal(size: int) -> None:
    found = [log_evidence(*features_and_targets(60, size, signal)) for signal in (0, 0.3, 0.6, 1.2)]
    assert found == sorted(found)
    assert found[-1] > found[0] + 0.3


def test_evidence_does_not_see_the_unit_of_the_features() -> None:
    features, targets = features_and_targets(30, 50, 0.5)
    expected = log_evidence(features, targets)
    assert log_evidence(features * 1e6, targets) == pytest.approx(expected, abs=1e-9)
    assert log_evidence(features * 1e-6, targets) == pytest.approx(expected, abs=1e-9)


def test_labels_that_the_features_reproduce_have_great_but_finite_evidence() -> None:
    features, targets = features_and_targets(30, 8, 1)
    given = np.hstack([features, np.eye(3)[targets]])
    assert log_evidence(features, targets) + 2 < log_evidence(given, targets) < inf


@pytest.mark.parametrize(("rows", "size"), [(90, 10), (15, 40)])
def test_h_score_is_the_trace_of_its_definition(rows: int, size: int) -> None:
    features, targets = features_and_targets(rows, size, 0.5)
    covariance, shrinkage = ledoit_wolf(features)
    means = np.stack([features[targets == c].mean(0) for c in range(3)])[targets]
    between = np.cov(means.T, bias=True)
    expected = (1 - shrinkage) * np.trace(np.linalg.solve(covariance, between))
    assert 0 < shrinkage < 1
    assert h_score(features, targets) == pytest.approx(expected, rel=1e-9)


def test_h_score_of_one_feature_is_the_part_of_variance_between_classes() -> None:
    features, targets = features_and_targets(30, 1, 1)
    between = np.var([features[targets == c].mean() for c in range(3)])
    assert h_score(features, targets) == pytest.approx(between / features.var(), rel=1e-9)


def test_nearest_is_by_angle_and_not_the_row_itself() -> None:
    degrees = np.radians([0, 1, 90, 91, 45.6])
    features = np.stack([np.cos(degrees), np.sin(degrees)], 1) * [[1], [100], [1], [100], [1]]
    assert neighbour_accuracy(features, np.array([0, 0, 1, 1, 1]), neighbours=1) == 1
    assert neighbour_accuracy(features, np.array([0, 1, 0, 1, 1]), neighbours=1) == 0


def test_rows_of_one_unit_have_no_say_on_each_other() -> None:
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(60, 16)), 5, 0) + rng.normal(size=(300, 16)) / 100
    units = np.repeat(np.arange(60), 5)
    targets = np.repeat(rng.integers(0, 2, 60), 5)
    assert neighbour_accuracy(features, targets) == 1
    assert 0.3 < neighbour_accuracy(features, targets, units=units) < 0.7
    assert neighbour_accuracy(features[:5], targets[:5], units=units[:5]) in (0, 1)


def test_the_nearer_neighbour_breaks_a_tie() -> None:
    degrees = np.radians([0, 5, 20, 120, 125, 140])
    features = np.stack([np.cos(degrees), np.sin(degrees)], 1)
    targets = np.array([1, 1, 0, 0, 0, 1])
    assert neighbour_accuracy(features, targets, neighbours=2) == pytest.approx(4 / 6)


def test_more_neighbours_outvote_a_nearer_one() -> None:
    degrees = np.radians([0, 1, 60, 61, 62])
    features = np.stack([np.cos(degrees), np.sin(degrees)], 1)
    assert neighbour_accuracy(features, np.array([1, 0, 1, 1, 1]), neighbours=3) == 0.8


def test_neighbours_are_looked_for_in_all_blocks() -> None:
    rows = BLOCK // 2 + 100
    pairs = np.tile(np.random.default_rng(0).normal(size=(rows, 8)), (2, 1))
    assert neighbour_accuracy(pairs, np.arange(2 * rows) % rows, neighbours=1) == 1
    assert neighbour_accuracy(pairs, np.arange(2 * rows) // rows, neighbours=1) == 0


@pytest.mark.parametrize(("rows", "size"), [(90, 10), (45, 200)])
def test_probe_is_a_logistic_regression_on_the_other_folds(rows: int, size: int) -> None:
    features, targets = features_and_targets(rows, size, 0.3)
    standard = (features - features.mean(0)) / features.std(0)
    right = 0
    for train, held_out in even_folds(rows):
        model = LogisticRegression(C=LOGIT_VARIANCE / size, tol=1e-6, max_iter=1000)
        model.fit(standard[train], targets[train])
        right += (model.predict(standard[held_out]) == targets[held_out]).sum()
    assert 0.4 < right / rows < 1
    assert probe_accuracy(features, targets, even_folds(rows)) == pytest.approx(right / rows)


def test_probe_without_folds_is_not_a_number() -> None:
    features, targets = features_and_targets(30, 8, 1)
    assert isnan(probe_accuracy(features, targets, ()))
    assert isnan(measure(features, targets, ()).probe_accuracy)


Measuring = Callable[[Array, Array, Folds], float]
MEASURES: dict[str, Measuring] = {
    "log_evidence": lambda features, targets, folds: log_evidence(features, targets),
    "h_score": lambda features, targets, folds: h_score(features, targets),
    "neighbour_accuracy": lambda features, targets, folds: neighbour_accuracy(features, targets),
    "probe_accuracy": probe_accuracy,
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize(("rows", "size"), [(120, 20), (45, 400)])
def test_random_features_score_worse(name: str, rows: int, size: int) -> None:
    informative, targets = features_and_targets(rows, size, 0.5)
    random, _ = features_and_targets(rows, size, 0, seed=1)
    good, bad = (MEASURES[name](f, targets, even_folds(rows)) for f in (informative, random))
    assert good > bad + 0.05


@pytest.mark.parametrize("name", MEASURES)
def test_measure_has_each_under_its_name(name: str) -> None:
    features, targets = features_and_targets(45, 20, 0.3)
    found = measure(features.astype(np.float32), targets, even_folds(45))
    expected = MEASURES[name](features, targets, even_folds(45))
    assert getattr(found, name) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["log_evidence", "h_score", "probe_accuracy"])
@pytest.mark.parametrize(("rows", "size"), [(45, 10), (15, 60)])
def test_features_that_are_zero_throughout_change_nothing(name: str, rows: int, size: int) -> None:
    features, targets = features_and_targets(rows, size, 0.5)
    dead = np.hstack([features, np.zeros((rows, 50))])
    found, expected = (MEASURES[name](f, targets, even_folds(rows)) for f in (dead, features))
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["h_score", "probe_accuracy"])
def test_a_feature_that_varies_by_rounding_changes_nothing(name: str) -> None:
    features, targets = features_and_targets(45, 10, 0.1)
    rounded = np.hstack([features, 1e4 + 1e-3 * targets[:, None]])
    found, expected = (MEASURES[name](f, targets, even_folds(45)) for f in (rounded, features))
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("value", [0, 0.1, -1e4])
def test_constant_features_know_nothing(value: float) -> None:
    targets = np.arange(30) % 3
    found = measure(np.full((30, 8), value, np.float32), targets, even_folds(30))
    assert np.isfinite(found.log_evidence)
    assert found.log_evidence < log_evidence(*features_and_targets(30, 8, 1))
    assert found.h_score == 0
    assert found.probe_accuracy <= 0.4


@pytest.mark.parametrize("size", [2, 3, 4])
def test_two_rows_can_be_measured(size: int) -> None:
    found = measure(np.eye(2, size), np.array([0, 1]), ())
    assert np.isfinite(found.log_evidence)
    assert found.h_score == pytest.approx(1)
    assert found.neighbour_accuracy == 0


def test_ranks_are_averaged_over_the_measures() -> None:
    first, second, third = Measures(3, 3, 0.9, 0.7), Measures(2, 1, 0.8, 0.8), Measures(1, 2, 0, 0)
    assert mean_ranks([second, first, third]) == [2, 1.25, 2.75]


def test_ties_share_the_mean_of_their_ranks() -> None:
    assert mean_ranks([TIES, replace(TIES, h_score=0.4), TIES]) == [1.875, 2.25, 1.875]


def test_not_a_number_ranks_last() -> None:
    unknown, bad = replace(TIES, log_evidence=nan), replace(TIES, log_evidence=-1e9)
    assert mean_ranks([unknown, bad, TIES]) == [2.25, 2, 1.75]
    assert mean_ranks([unknown, TIES, unknown]) == [2.125, 1.75, 2.125]


def test_nothing_has_no_ranks() -> None:
    assert mean_ranks([]) == []
