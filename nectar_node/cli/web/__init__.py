"""The commands about browsers."""
