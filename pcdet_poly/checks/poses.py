"""What a pose must satisfy: a rotation and a translation."""

from __future__ import annotations

import numpy as np

from pcdet_poly.checks.findings import Finding

TOLERANCE = 1e-3  # of a rotation's products; that much scaling moves a point 75 m away by 4 cm


def find_pose_fault(pose: np.ndarray) -> Finding | None:
    """Return what keeps `pose`, (4, 4) world from vehicle, from being a rigid motion; None if it is one."""
    reason = _find_reason(pose)
    return Finding("pose", f"a pose that is no rigid motion: {reason}") if reason else None


def _find_reason(pose: np.ndarray) -> str:
    if not np.isfinite(pose).all():
        return "a number is not finite"
    if np.abs(pose[3] - (0, 0, 0, 1)).max() > TOLERANCE:
        hint = "; transposed?" if np.abs(pose[:3, 3]).max() <= TOLERANCE else ""
        return f"its last row is {pose[3].tolist()}, not 0, 0, 0, 1{hint}"
    turn = pose[:3, :3]
    off = float(np.abs(turn @ turn.T - np.eye(3)).max())
    if off > TOLERANCE:
        return f"its rows are not orthonormal (off by {off:.3g}), so it scales or shears"
    if np.linalg.det(turn) < 0:
        return "it mirrors (its determinant is -1); one axis points the wrong way"
    return ""
