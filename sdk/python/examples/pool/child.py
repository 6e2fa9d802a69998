"""Does one job and ends: a process in the plain style, which receives and responds."""

from protocol import Job

import nectar
from nectar import json, kernel, node


def init(our: nectar.Address) -> None:
    while True:
        match kernel.receive():
            case nectar.Request() as request if request.source.same_package(our):
                return work(json.decode(Job, request.json()["Do"]))


def work(job: Job) -> None:
    if job.rest > 0:
        node.sleep(job.rest / 1000).wait()
    if job.trap:
        raise RuntimeError("a job that was to trap")
    kernel.respond({"Did": {"job": job.number, "sum": sum_of_primes(job.below)}})


def sum_of_primes(below: int) -> int:
    sieve = bytearray([0, 0]) + bytearray([1]) * max(0, below - 2)
    for number in range(2, int(below**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(sieve[number * number :: number]))
    return sum(number for number in range(2, below) if sieve[number])
