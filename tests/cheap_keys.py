"""A cost of passwords for tests: it protects nothing, and takes no time."""

from nacl import pwhash

from net.names.keyfile import KdfCost

CHEAP = KdfCost(pwhash.argon2id.OPSLIMIT_MIN, pwhash.argon2id.MEMLIMIT_MIN)
