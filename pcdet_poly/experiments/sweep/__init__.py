"""A sweep: many trainings described by one file, paired by seed."""
