"""Versions of a package as its publisher has published them: documents, signed heads, and what is believed of them."""
