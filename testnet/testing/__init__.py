"""Tests of one's own packages: the pytest plugin, and the parts of its fixtures; imports all labs."""
