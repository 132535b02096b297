"""Which of several equally good assignments Waymo's op picks.

Where two assignments have exactly the same sum of integer weights, the official result depends on the
order in which its Kuhn-Munkres algorithm looks at rows and columns. This kernel looks in that order: rows
ascending, columns ascending, breadth first from each row, labels (row maximum, 0) at the start. It is slow
(cubic) and only called for ties that change a number; `matching.py` solves everything else.
"""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel


@kernel
def _list_tight_columns(row: int, step: int, weight, row_label, column_label, listed, order, parent, num: int) -> int:  # type: ignore[no-untyped-def]
    """Append to `order` the columns tight to `row` that are not listed yet; return their number.

    `step` is the row's position in the tree.
    """
    for column in range(len(column_label)):
        if not listed[column] and row_label[row] + column_label[column] == weight[row, column]:
            listed[column] = True
            order[num] = column
            parent[num] = step
            num += 1
    return num


@kernel
def _loosen_labels(weight, row_label, column_label, rows, num_rows, in_tree) -> None:  # type: ignore[no-untyped-def]
    """Change the labels so that a column outside the tree becomes tight to a row inside it."""
    amount = np.iinfo(np.int64).max
    for k in range(num_rows):
        for column in range(len(column_label)):
            if not in_tree[column]:
                slack = row_label[rows[k]] + column_label[column] - weight[rows[k], column]
                amount = min(amount, slack)
    for k in range(num_rows):
        row_label[rows[k]] -= amount
    for column in range(len(column_label)):
        if in_tree[column]:
            column_label[column] += amount


@kernel
def assign_densely(weight: np.ndarray) -> np.ndarray:
    """Return the column of each row in the maximum-weight perfect assignment of a matrix (n, n) int64 >= 0."""
    n = len(weight)
    row_label, column_label = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for row in range(n):
        row_label[row] = max(0, weight[row].max())
    column_of, row_of = np.full(n, -1), np.full(n, -1)
    rows, columns, column_parent = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    order, parent = np.empty(n, np.int64), np.empty(n, np.int64)
    in_tree, listed = np.empty(n, np.bool_), np.empty(n, np.bool_)
    for root in range(n):
        in_tree[:] = False
        listed[:] = False
        rows[0], num_rows, num_columns = root, 1, 0
        num_listed = _list_tight_columns(root, 0, weight, row_label, column_label, listed, order, parent, 0)
        while True:
            if num_listed == num_columns:
                _loosen_labels(weight, row_label, column_label, rows, num_rows, in_tree)
                listed[:] = False
                num_listed = 0
                for k in range(num_rows):
                    num_listed = _list_tight_columns(
                        rows[k], k, weight, row_label, column_label, listed, order, parent, num_listed
                    )
            place = 0
            while in_tree[order[place]]:
                place += 1
            column = order[place]
            in_tree[column] = True
            columns[num_columns], column_parent[num_columns] = column, parent[place]
            num_columns += 1
            if row_of[column] < 0:
                break
            rows[num_rows] = row_of[column]
            num_rows += 1
            num_listed = _list_tight_columns(
                row_of[column], num_rows - 1, weight, row_label, column_label, listed, order, parent, num_listed
            )
        _swap_along_path(rows, columns, column_parent, num_columns, column_of, row_of)
    return column_of


@kernel
def _swap_along_path(rows, columns, column_parent, num_columns, column_of, row_of) -> None:  # type: ignore[no-untyped-def]
    """Give the last column of the tree to its parent, that row's old column to the next parent, up to the root."""
    given = columns[num_columns - 1]
    for k in range(num_columns - 1, -1, -1):
        if columns[k] == given:
            row = rows[column_parent[k]]
            column_of[row], row_of[given], given = given, row, column_of[row]
            if column_parent[k] == 0:
                return
