"""The core's side of the net: envelopes, proofs, the records on disk; imports `base` to `packages`."""
