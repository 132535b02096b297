"""`python -m pcdet_poly.detect` is the command `pcdet-poly detect`."""
