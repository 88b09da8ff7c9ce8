"""The first design's intake: COPY for the rows, then one message per campaign of 500 contacts."""

import os
import sys
import time

import pika
import psycopg

import contacts

QUEUE = "peers.python"
CAMPAIGN = 500


def enqueue(database: psycopg.Connection, channel, batch: list[dict]) -> None:
    campaigns = {(contact["id"] - 1) // CAMPAIGN for contact in batch}
    with database.transaction(), database.cursor().copy(
        "copy contacts (id, campaign, number, text) from stdin"
    ) as copy:
        for contact in batch:
            copy.write_row((contact["id"], (contact["id"] - 1) // CAMPAIGN, contact["number"], contacts.render(contact)))
    persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
    for campaign in sorted(campaigns):
        channel.basic_publish("", QUEUE, str(campaign).encode(), persistent)


def main() -> None:
    everything, warm_up = contacts.read(sys.argv[1]), int(sys.argv[2])
    with (
        psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database,
        pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"])) as broker,
    ):
        # An index of that design; only its worker needs it.
        database.execute("create index contacts_of_campaign on contacts (campaign, status)")
        channel = broker.channel()
        channel.queue_declare(QUEUE, durable=True)
        channel.queue_purge(QUEUE)  # messages of an interrupted run
        channel.confirm_delivery()
        enqueue(database, channel, everything[:warm_up])
        begun = time.monotonic()
        enqueue(database, channel, everything[warm_up:])
        print(time.monotonic() - begun)


main()
