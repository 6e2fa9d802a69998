"""What all of the net stands on: frames, CBOR, errors, limits, deadlines; imports nothing of ours."""
