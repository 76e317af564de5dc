"""Operating the workflow: what jobs ask for and cost, progress, the summary, verifying and tidying up a cache."""
