"""The size curve's figure."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation

from pcdet_poly.experiments.report.formats.size_figure import draw_arms_by_size
from pcdet_poly.experiments.report.gradient_sizes import ArmSize
from pcdet_poly.experiments.size_curve import SizeCurve
from pcdet_poly.experiments.statistics import Estimate

# As docs/studies/size_matched_short has them: three arms of the focal loss's size, two of twice as much.
ARMS = {
    "focal": (1.0, False, 24.04),
    "focal-2.2": (2.2, False, 28.43),
    "eps2": (2.148, True, 27.87),
    "eps2-constant": (0.9774, True, 23.09),
    "eps-1": (0.4259, True, 17.82),
    "eps-1-constant": (1.065, True, 23.40),
}


def test_names_of_near_arms_do_not_lie_over_each_other() -> None:
    slope = Estimate(*(np.array(value) for value in (4.4, 3.4, 5.3, 0.0)))
    curve = SizeCurve(slope, 23.6, 0.995, (0.0,) * 6, 0.5, ())
    sizes = [ArmSize(size, is_polynomial) for size, is_polynomial, _ in ARMS.values()]
    means = np.array([mean for *_, mean in ARMS.values()])
    figure = draw_arms_by_size(list(ARMS), sizes, means, curve, "BEV LEVEL_1 AP")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    names = [text for text in figure.axes[0].texts if isinstance(text, Annotation)]
    assert [text.get_text() for text in names] == list(ARMS)
    boxes = {text.get_text(): text.get_window_extent(canvas.get_renderer()) for text in names}
    over = [pair for pair in combinations(boxes, 2) if boxes[pair[0]].overlaps(boxes[pair[1]])]
    assert over == []
