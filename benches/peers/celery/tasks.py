"""One task per contact, acknowledged late: the result is committed before RabbitMQ deletes the message."""

import os
import threading

import psycopg
import requests
from celery import Celery

app = Celery("tasks", broker=os.environ["AMQP_URL"])
app.conf.update(
    task_default_queue="peers.celery",
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,  # the row is the result
    worker_prefetch_multiplier=int(os.environ["CELERY_PREFETCH"]),
    broker_transport_options={"confirm_publish": os.environ["CELERY_CONFIRM"] == "1"},  # off by Celery's default
    worker_cancel_long_running_tasks_on_connection_loss=True,
)

SEND_URL = f"{os.environ['GATEWAY_URL']}/message/sendText/{os.environ['GATEWAY_INSTANCE']}"

# One open connection to the database and one to the gateway for each process, thread or greenlet of the pool.
mine = threading.local()


def connections() -> tuple[psycopg.Connection, requests.Session]:
    if not hasattr(mine, "database"):
        mine.database = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        mine.session = requests.Session()
        mine.session.headers["apikey"] = os.environ["GATEWAY_TOKEN"]
    return mine.database, mine.session


@app.task(autoretry_for=(requests.RequestException,), retry_backoff=True, max_retries=3)
def send(contact_id: int, number: str, text: str) -> None:
    database, session = connections()
    response = session.post(SEND_URL, json={"number": number, "text": text, "linkPreview": False}, timeout=130)
    response.raise_for_status()
    database.execute(
        "update contacts set status = 'sent', message_id = %s, sent_at = clock_timestamp() where id = %s",
        (response.json()["key"]["id"], contact_id),
    )
