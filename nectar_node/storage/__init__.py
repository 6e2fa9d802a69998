"""Files on disk: what may be asked of them (`operations`), and the real disk that does it; imports `base`."""
