"""Processes in all languages: the same examples, each compiled by its toolchain, do the same (`make test-languages`)."""
