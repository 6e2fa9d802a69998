"""Folders as one file, to be sent."""
