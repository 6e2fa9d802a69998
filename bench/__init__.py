"""Figures: each is measured beside a reference in the same run, because machines are noisy, and printed as a ratio.

`python -m bench [NAME …] [--json | --markdown]` runs them; one file holds one figure, or a few that share their set-up.
"""
