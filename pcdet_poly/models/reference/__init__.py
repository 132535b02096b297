"""The door `python -m pcdet_poly.models.reference`."""
