"""Bodies of requests that go to files."""
