"""Celery's intake: COPY for the rows, then one message per contact (Celery has no bulk publish)."""

import os
import sys
import time

import psycopg

import contacts
from tasks import app, send


def enqueue(batch: list[dict]) -> None:
    texts = [contacts.render(contact) for contact in batch]
    with psycopg.connect(os.environ["DATABASE_URL"]) as database:
        with database.cursor().copy("copy contacts (id, number, text) from stdin") as copy:
            for contact, text in zip(batch, texts):
                copy.write_row((contact["id"], contact["number"], text))
    # After the commit, so that every task finds its contact's row.
    with app.producer_or_acquire() as producer:
        for contact, text in zip(batch, texts):
            send.apply_async((contact["id"], contact["number"], text), producer=producer)


def main() -> None:
    everything, warm_up = contacts.read(sys.argv[1]), int(sys.argv[2])
    app.control.purge()  # messages of an interrupted run
    enqueue(everything[:warm_up])
    begun = time.monotonic()
    enqueue(everything[warm_up:])
    print(time.monotonic() - begun)


main()
