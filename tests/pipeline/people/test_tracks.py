"""People followed through frames: crossing, hidden for a while, gone."""

import numpy as np

from pipeline.people.tracks import PATIENCE, follow, overlap, without_doubles


def boxes(*lefts, top=0.0):
    return np.array([(left, top, left + 40, top + 100) for left in lefts], np.float64).reshape(-1, 4)


def test_overlap_is_intersection_over_union():
    found = overlap(boxes(0), boxes(0, 20, 40))
    np.testing.assert_allclose(found, [[1, 1 / 3, 0]])
    assert overlap(boxes(), boxes(0)).shape == (0, 1)


def test_two_people_who_walk_towards_each_other_keep_their_numbers():
    """Both are found in every frame, listed now in one order and now in the other; they pass at different heights."""
    frames, truth = [], []
    for step in range(12):
        one, other = boxes(10 * step), boxes(110 - 10 * step, top=30)
        swap = step % 2
        frames.append(np.concatenate([other, one] if swap else [one, other]))
        truth.append([1, 0] if swap else [0, 1])
    assert follow(frames) == truth


def test_a_person_who_is_hidden_for_a_while_is_expected_further_on():
    frames = [boxes(10 * step) for step in range(5)] + [boxes()] * 3 + [boxes(80), boxes(90)]
    assert follow(frames) == [[0]] * 5 + [[]] * 3 + [[0]] * 2


def test_one_who_was_away_for_long_is_a_new_person():
    frames = [boxes(0), *[boxes()] * PATIENCE, boxes(0)]
    assert follow(frames)[-1] == [1]


def test_someone_who_appears_elsewhere_is_another():
    assert follow([boxes(0), boxes(0, 300), boxes(300)]) == [[0], [0, 1], [1]]


def test_of_two_boxes_of_one_body_the_surer_one_stays():
    found = np.array([(0, 0, 40, 100), (5, 0, 35, 60), (200, 0, 240, 100)], np.float64)
    assert without_doubles(found, [0.5, 0.9, 0.7]) == [1, 2]
