"""Which rows an audit shows again, and where it cuts them."""

import numpy as np
import pytest

from cockpit.executors.shown import choose_again, cut_rows, surprisals

ROWS, LENGTH = 60, 64


def test_half_of_the_cuts_fall_behind_suspect_targets() -> None:
    hits = []
    for seed in range(50):
        draw = np.random.default_rng(seed)
        suspicion = draw.normal(size=(ROWS, LENGTH))
        peeks = draw.random((ROWS, LENGTH)) < 0.05
        suspicion[peeks] += 20
        again = choose_again(suspicion, np.ones((ROWS, LENGTH)), 4, 28, draw)
        assert (again.whole, again.anywhere, len(again.rows)) == (4, 14, 32)
        hits.append(peeks[again.rows, again.cuts - 1])
    share = np.mean(hits, axis=0)  # [32]
    assert share[4:18].mean() == pytest.approx(0.05, abs=0.03)
    assert share[18:].mean() == pytest.approx(0.5, abs=0.07)


def test_no_row_is_shown_twice_even_where_one_row_is_the_suspect() -> None:
    suspicion = np.zeros((21, LENGTH))
    suspicion[5] = 9.0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        again = choose_again(suspicion, np.ones((21, LENGTH)), 2, 14, draw)
        assert len(set(again.rows)) == 16
        assert list(again.cuts[:2]) == [LENGTH, LENGTH]
        assert ((again.cuts[2:] >= 1) & (again.cuts[2:] < LENGTH)).all()


def test_targets_that_do_not_count_are_not_suspect() -> None:
    draw = np.random.default_rng(0)
    counted = (draw.random((ROWS, LENGTH)) < 0.5).astype(float)
    again = choose_again(10 * (1 - counted), counted, 4, 28, draw)
    assert counted[again.rows[4:], again.cuts[4:] - 1].all()


def test_a_cut_row_does_not_hold_the_target_before_the_cut() -> None:
    draw = np.random.default_rng(0)
    rows = draw.integers(2, size=(ROWS, LENGTH + 1))
    again = choose_again(np.zeros((ROWS, LENGTH)), np.ones((ROWS, LENGTH)), 4, 28, draw)
    shown = cut_rows(rows, again, 2, draw)
    for number in range(4, 32):
        own, cut = rows[again.rows[number]], again.cuts[number]
        assert (shown.tokens[number, :cut] == own[:cut]).all()
        assert shown.tokens[number, cut] != own[cut]
        assert shown.positions[number] == cut


def test_a_token_is_as_surprising_as_it_is_rare() -> None:
    assert surprisals(np.array([[0, 0, 0]]), 3) == pytest.approx(np.log([6 / 4, 6, 6]))
