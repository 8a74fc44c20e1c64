"""One file a question. Each prints machine, versions and percentiles, and writes JSON."""
