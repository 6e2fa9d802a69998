"""Tests of the command line, against a control socket that a test serves; `end_to_end` has the real nodes."""
