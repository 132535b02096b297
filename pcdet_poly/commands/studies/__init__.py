"""Commands that compare many trainings."""
