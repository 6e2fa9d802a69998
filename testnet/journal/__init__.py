"""Journals as files, and how their lines are worded; imports `model`."""
