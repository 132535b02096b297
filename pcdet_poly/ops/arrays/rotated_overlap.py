"""Area that two rotated rectangles share: one scalar kernel for every IoU on the CPU.

In the frame of rectangle a, a is |x| <= l / 2, |y| <= w / 2, and rectangle b a convex quadrilateral.
Their common area is the integral over a's length of the stretch of b's width that lies inside a:
    area = integral of (clamp(y_top(x)) - clamp(y_bottom(x))) dx,    clamp to [-w / 2, w / 2],
where y_top and y_bottom are b's boundary. So every edge of b adds the integral of a clamped linear
function, signed by its direction (Green's theorem). No intersection points and no list of corners,
so coincident edges, shared corners and identical boxes are no special cases.

float64; off by rounding only: about 1e-15 m times the edges. The GPU's version does the same steps in the
same order: keep the two alike.
"""

from __future__ import annotations

from pcdet_poly.ops.compiler.kernel import kernel


@kernel
def rotated_rectangle_overlap(
    dx: float,
    dy: float,
    a_length: float,
    a_width: float,
    cos_a: float,
    sin_a: float,
    b_length: float,
    b_width: float,
    cos_b: float,
    sin_b: float,
) -> float:
    """Area that rectangle a, at the origin, and rectangle b share.

    Args:
        dx: x of b's centre, metres.
        dy: y of b's centre.
        a_length: along a's heading, metres.
        a_width: across it.
        cos_a: cosine of a's heading.
        sin_a: sine of a's heading.
        b_length: along b's heading, metres.
        b_width: across it.
        cos_b: cosine of b's heading.
        sin_b: sine of b's heading.

    Returns:
        m2, at least 0.
    """
    x, y = dx * cos_a + dy * sin_a, dy * cos_a - dx * sin_a  # b's centre in a's frame
    cosine, sine = cos_a * cos_b + sin_a * sin_b, cos_a * sin_b - sin_a * cos_b  # b's heading in a's frame
    front_x, front_y = 0.5 * b_length * cosine, 0.5 * b_length * sine  # b's centre to the middle of its front
    side_x, side_y = -0.5 * b_width * sine, 0.5 * b_width * cosine  # and to the middle of its left side
    along = sine / cosine if cosine != 0.0 else 0.0  # dy / dx of b's sides
    across = -cosine / sine if sine != 0.0 else 0.0  # dy / dx of b's front and back
    length, width = 0.5 * a_length, 0.5 * a_width
    x0, y0 = (x - side_x) - front_x, (y - side_y) - front_y  # b's corners, counter-clockwise from its right rear
    x1, y1 = (x - side_x) + front_x, (y - side_y) + front_y
    x2, y2 = (x + side_x) + front_x, (y + side_y) + front_y
    x3, y3 = (x + side_x) - front_x, (y + side_y) - front_y
    right = integrate_edge(x0, y0, x1, y1, along, length, width)
    front = integrate_edge(x1, y1, x2, y2, across, length, width)
    left = integrate_edge(x2, y2, x3, y3, along, length, width)
    back = integrate_edge(x3, y3, x0, y0, across, length, width)
    return max(0.0, -(((right + front) + left) + back))  # that way round, the area is minus the integral of y dx


@kernel
def integrate_edge(x0: float, y0: float, x1: float, y1: float, slope: float, length: float, width: float) -> float:
    """Integrate clamp(y, -width, width) dx along an edge, where |x| <= length.

    Args:
        x0: of the edge's beginning, metres.
        y0: of the edge's beginning.
        x1: of the edge's end.
        y1: of the edge's end.
        slope: dy / dx of the edge.
        length: half the length of rectangle a.
        width: half its width.

    Returns:
        m2, signed.
    """
    start, end = min(max(x0, -length), length), min(max(x1, -length), length)
    if start == end:
        return 0.0
    y_start, y_end = y0 + (start - x0) * slope, y1 + (end - x1) * slope
    low, high = min(y_start, y_end), max(y_start, y_end)
    clamped_low, clamped_high = min(max(low, -width), width), min(max(high, -width), width)
    if clamped_low == clamped_high:
        return clamped_low * (end - start)
    below, above = max(-width - low, 0.0), max(high - width, 0.0)
    span = high - low
    inside = (span - below - above) * (0.5 * (clamped_low + clamped_high))
    return (width * (above - below) + inside) / span * (end - start)
