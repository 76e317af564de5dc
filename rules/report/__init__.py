"""The report of a subject: measurements drawn into one HTML page."""
