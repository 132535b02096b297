"""The report of a sweep: numbers, findings, text, figures and one web page."""
