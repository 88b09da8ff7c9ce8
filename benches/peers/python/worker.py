"""The first design's worker: a message names a campaign, and a synchronous thread sends it in batches of 100.

Throttle, business hours and health check are omitted, because they would only slow it down.
"""

import multiprocessing
import os
import signal
import threading

import pika
import psycopg
import requests

QUEUE = "peers.python"
BATCH = 100
SEND_URL = f"{os.environ['GATEWAY_URL']}/message/sendText/{os.environ['GATEWAY_INSTANCE']}"


class SenderWorker:
    """One thread with its own connections, because pika and requests require that."""

    def run(self) -> None:
        self.database = psycopg.connect(os.environ["DATABASE_URL"])
        self.session = requests.Session()
        self.session.headers["apikey"] = os.environ["GATEWAY_TOKEN"]
        channel = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"])).channel()
        channel.queue_declare(QUEUE, durable=True)
        channel.basic_qos(prefetch_count=1)
        channel.basic_consume(QUEUE, self.on_campaign)
        channel.start_consuming()

    def on_campaign(self, channel, method, _properties, body: bytes) -> None:
        while self.send_batch(int(body)):
            pass
        channel.basic_ack(method.delivery_tag)

    def send_batch(self, campaign: int) -> bool:
        # SELECT … FOR UPDATE holds its rows until the end of the transaction, so the batch is one transaction.
        with self.database.transaction():
            batch = self.database.execute(
                "select id, number, text from contacts where campaign = %s and status = 'pending'"
                " order by id limit %s for update skip locked",
                (campaign, BATCH),
            ).fetchall()
            for contact_id, number, text in batch:
                self.database.execute(
                    "update contacts set status = 'sent', message_id = %s, sent_at = clock_timestamp() where id = %s",
                    (self.send(number, text), contact_id),
                )
        return bool(batch)

    def send(self, number: str, text: str, attempts: int = 3) -> str:
        try:
            body = {"number": number, "text": text, "linkPreview": False}
            response = self.session.post(SEND_URL, json=body, timeout=130)
            response.raise_for_status()
            return response.json()["key"]["id"]
        except requests.RequestException:
            if attempts == 1:
                raise
            return self.send(number, text, attempts - 1)


def work() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threads = [threading.Thread(target=SenderWorker().run) for _ in range(int(os.environ["PYTHON_THREADS"]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    processes = [multiprocessing.Process(target=work) for _ in range(int(os.environ["PYTHON_PROCESSES"]))]
    for process in processes:
        process.start()
    signal.signal(signal.SIGTERM, lambda *_: [process.terminate() for process in processes])
    for process in processes:
        process.join()


main()
