"""Files on disk: the operations on them (`operations`), and the real disk that carries them out; imports `base`."""
