"""What all of the net is built on: frames, CBOR, errors, limits, deadlines. Imports no other folder of the project."""
