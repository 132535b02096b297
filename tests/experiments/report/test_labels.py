"""Pieces of segments, which are resampled where there are too few segments."""

from __future__ import annotations

from pcdet_poly.experiments.report.labels import cut_into_pieces


def test_pieces_are_equal_runs_of_a_segments_frames() -> None:
    assert cut_into_pieces(["a", "a", "b", "a", "a", "b"], 2) == ("a#000", "a#000", "b#000", "a#001", "a#001", "b#001")
    assert cut_into_pieces(["a", "b"], 1) == ("a", "b")
