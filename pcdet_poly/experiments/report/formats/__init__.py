"""What a report is written as: Markdown, CSV, figures and one web page."""
