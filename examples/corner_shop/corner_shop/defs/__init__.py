"""One folder for each source, one for the reports, and the overview."""
