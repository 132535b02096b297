"""Version 2 of the Waymo Open Dataset: reads and writes Parquet components."""
