"""Waymo's version 2: Parquet components read and written."""
