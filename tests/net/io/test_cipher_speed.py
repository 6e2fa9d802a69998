"""A node lists the ciphers that are faster on its machine than the usual one, and finds out in no time."""

import time

import pytest

from net.base.ciphers import ALWAYS, Cipher
from net.io.cipher_speed import faster, measured


@pytest.mark.parametrize(("aes", "listed"), [(1.0, (Cipher.AES_GCM,)), (2.0, ()), (3.0, ())])
def test_a_cipher_is_listed_if_it_is_faster_than_the_usual_one(aes: float, listed: tuple[Cipher, ...]) -> None:
    assert faster({ALWAYS: 2.0, Cipher.AES_GCM: aes}.__getitem__) == listed


def test_measuring_takes_a_few_milliseconds_of_processor_time_at_most() -> None:
    began = time.thread_time()
    faster()
    assert time.thread_time() - began < 0.02
    assert all(measured(cipher) > 0 for cipher in Cipher)
