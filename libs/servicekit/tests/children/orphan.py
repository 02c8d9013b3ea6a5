"""A sender whose broker is gone; prints how much processor time it takes meanwhile.

orphan.py ADDRESS SECONDS: it sends, says so, and measures once its input ends.
"""

import resource
import sys
import time

from servicekit.bus import Record
from servicekit.kafka import KafkaBus


def used() -> float:
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime


def main(address: str, seconds: float) -> None:
    bus = KafkaBus(address, request_seconds=0.3, sender_delivery_seconds=0.5)
    sender = bus.sender()
    sender.send(Record("record.received", b"k", b"v")).exception(30)
    sys.stdout.write("sent\n")
    sys.stdout.flush()
    sys.stdin.read()
    # What was under way fails, and the sender's producer is what the outage makes of it.
    for _ in range(20):
        sender.send(Record("record.received", b"k", b"v"))
    began, before = time.monotonic(), used()
    while time.monotonic() - began < seconds:
        time.sleep(0.05)
    spent = used() - before
    sys.stdout.write(f"{spent} {sender.close(0.1)}\n")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
