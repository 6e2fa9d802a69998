"""Processes in all languages: the same examples, compiled by their toolchains, do the same (`make test-languages`)."""
