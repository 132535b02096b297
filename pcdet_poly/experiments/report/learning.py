"""Which classes were learnt at all: where scores are near 0, small differences and small spreads mean nothing."""

from __future__ import annotations

from pcdet_poly.experiments.report.metrics import DetectorMetrics, TableCell

# Points of the ranking metric that an arm must reach, on average over its seeds, for a class to count as learnt.
# Effects of half a point, which studies look for, are a quarter of it.
LEAST_LEARNT = 2.0


def list_learnt_classes(metrics: DetectorMetrics) -> list[str]:
    """List the classes in which some arm reaches LEAST_LEARNT points of the ranking metric."""
    return [name for name in metrics.classes if find_best_arm(metrics, name)[1] >= LEAST_LEARNT]


def find_best_arm(metrics: DetectorMetrics, class_name: str) -> tuple[str, float]:
    """Find the arm with the highest mean over its seeds in the ranking metric, and that mean in points."""
    cell = TableCell(class_name, *metrics.ranking)
    means = {arm: float(metrics.get_points(arm, cell).mean()) for arm in metrics.detector.arms}
    best = max(means, key=means.__getitem__)
    return best, means[best]


def describe_learning(metrics: DetectorMetrics) -> list[str]:
    """Describe what was not learnt, in one sentence; none where every class was learnt."""
    learnt = list_learnt_classes(metrics)
    if len(learnt) == len(metrics.classes):
        return []
    best = {name: find_best_arm(metrics, name) for name in metrics.classes if name not in learnt}
    listed = ", ".join(f"{name.lower()} {points:.2f} ({arm})" for name, (arm, points) in best.items())
    if not learnt:
        return [
            f"Nothing was learnt: no arm reaches {LEAST_LEARNT:g} points of {metrics.ranking} in any class; the best "
            f"are {listed}. The study says nothing about its arms: near 0 all differences and spreads are small."
        ]
    return [
        f"Not learnt by any arm (under {LEAST_LEARNT:g} points of {metrics.ranking}): {listed}. That arms are alike "
        "there says nothing, and it makes differences of the mean over classes smaller."
    ]
