"""A detector in an ONNX file as one function: points -> boxes, scores, classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pcdet_poly.runtime.model_file import open_session
from pcdet_poly.runtime.suppress import FoundBoxes, Rules, select_boxes


class Detector:
    """A detector that `pcdet-poly export RUN --onnx --whole` wrote.

    >>> detector = Detector("detector.onnx")
    >>> found = detector.detect(points)
    >>> found.box, found.score, [detector.class_names[i] for i in found.label]
    """

    def __init__(self, path: str | Path, *, num_threads: int | None = None) -> None:
        self._session, self.description = open_session(Path(path), num_threads)
        self.class_names = self.description.classes
        self._rules = Rules.from_settings(self.description.decode)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def detect(self, points: np.ndarray) -> FoundBoxes:
        """Detect in one cloud.

        Args:
            points: (P, 3 or more) x, y, z in metres (x forward, y left, z up, ground near z = 0), then, where the
                detector reads them, raw intensity, elongation, and age in seconds; columns that are missing count as
                0, and those that it does not read are left out.

        Returns:
            Boxes by descending score. Labels point into `class_names`.

        Raises:
            ValueError: `points` is no table of three columns or more.
        """
        found, score = self.find_candidates(points)
        return select_boxes(found, score, self._rules)

    def find_candidates(self, points: np.ndarray) -> tuple[FoundBoxes, np.ndarray]:
        """Run the network alone.

        Args:
            points: as `detect` takes them.

        Returns:
            M boxes with the scores that they compete with, and their classification scores (M,).
        """
        values = dict(zip(self._outputs, self._session.run(None, {"points": self._fill_columns(points)}), strict=True))
        found = FoundBoxes(values["box"], values["label"], values["ranked"], values.get("velocity"))
        return found, values["score"]

    def _fill_columns(self, points: np.ndarray) -> np.ndarray:
        """Bring points into the columns of the file, without those that have a number that is not finite."""
        points = np.asarray(points)
        if points.ndim != 2 or points.shape[1] < 3:
            raise ValueError(f"points: shape {points.shape} given, (P, 3 or more) needed: x, y, z, intensity, ...")
        names = self.description.columns
        width = min(points.shape[1], len(names))
        filled = np.zeros((len(points), len(names)), np.float32)
        filled[:, :width] = points[:, :width]
        whole = np.isfinite(filled).all(axis=1)
        return filled if whole.all() else filled[whole]
