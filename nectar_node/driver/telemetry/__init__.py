"""Metrics and traces on a real node; loaded with `--metrics` and `--otlp` alone."""
