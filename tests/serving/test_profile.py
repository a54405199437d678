"""What inputs were like, and whether those that come now are like them."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from regraft.serving.profile import BINS, DIRECTIONS, InputWatch, Profile, counted

RNG = np.random.default_rng(0)
FEATURES = (RNG.normal(size=(500, 32)) * RNG.uniform(0.1, 5, 32) + 3).astype(np.float32)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return Profile.of(FEATURES, FEATURES, {"ids": np.array([[1, 2], [3, 0]])})


def test_each_figure_has_a_tenth_of_the_rows_in_each_bin(profile: Profile) -> None:
    assert profile.counts.shape == (DIRECTIONS + 1, BINS)
    np.testing.assert_allclose(profile.counts, 50, atol=1)
    np.testing.assert_array_equal(counted(profile.bins(FEATURES)), profile.counts)


def test_it_is_the_same_after_it_was_kept(profile: Profile) -> None:
    kept = Profile.load(profile.dump())
    np.testing.assert_array_equal(kept.bins(FEATURES), profile.bins(FEATURES))
    assert kept.rows["ids"].tolist() == [[1, 2], [3, 0]]
    assert kept.dump() == profile.dump()


def test_few_rows_and_columns_that_never_differ_have_a_profile_too() -> None:
    same = np.full((3, 4), 7.0, np.float32)
    assert Profile.of(same, same, {}).bins(same + 1).shape == (3, 4)
    assert Profile.of(same[:1], same, {}).bins(same).shape == (3, 2)


@pytest.mark.parametrize("count", [60, 200])
def test_few_rows_of_many_columns_lie_as_others_of_their_kind_do(count: int) -> None:
    """Along directions that are chosen by the very rows that are counted others would lie apart."""
    widths = np.arange(1, 385) ** -0.5
    validation, test, now = (RNG.normal(size=(n, 384)) * widths for n in (count, count, 1000))
    profile = Profile.of(validation, test, {})
    pairs = zip(counted(profile.bins(now)), profile.counts, strict=True)
    assert min(chi2_contingency(pair).pvalue for pair in pairs) > 1e-4


def test_a_request_is_looked_at_now_and_then(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, clock = InputWatch(profile), [100.0]
    monkeypatch.setattr("regraft.serving.profile.time.monotonic", lambda: clock[0])
    first = watch.look(FEATURES[:2])
    assert first is not None
    assert first.shape == (1, DIRECTIONS + 1)
    assert watch.look(FEATURES[:2]) is None
    clock[0] += 0.021
    assert watch.look(FEATURES[:2]) is not None
