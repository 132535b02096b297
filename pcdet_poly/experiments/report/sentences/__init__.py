"""What a report says: findings, answers and sizes, in sentences."""
