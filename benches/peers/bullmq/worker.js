// One job per contact. The result is committed before the job completes.
import { Worker } from "bullmq";
import IORedis from "ioredis";
import pg from "pg";
import { Pool } from "undici";

const { DATABASE_URL, REDIS_URL, GATEWAY_URL, GATEWAY_TOKEN, GATEWAY_INSTANCE } = process.env;
const concurrency = Number(process.env.BULLMQ_CONCURRENCY);

const database = new pg.Pool({ connectionString: DATABASE_URL, max: Number(process.env.BULLMQ_CONNECTIONS) });
const gateway = new Pool(GATEWAY_URL.replace(/\/$/, ""), { connections: concurrency });
const redis = new IORedis(REDIS_URL, { maxRetriesPerRequest: null });

async function send({ data: { id, number, text } }) {
  const response = await gateway.request({
    method: "POST",
    path: `/message/sendText/${GATEWAY_INSTANCE}`,
    headers: { apikey: GATEWAY_TOKEN, "content-type": "application/json" },
    body: JSON.stringify({ number, text, linkPreview: false }),
    headersTimeout: 130_000,
  });
  const answer = await response.body.json();
  if (response.statusCode !== 201) throw new Error(`the gateway answered ${response.statusCode}`);
  await database.query({
    name: "record", // prepared once for each connection
    text: "update contacts set status = 'sent', message_id = $1, sent_at = clock_timestamp() where id = $2",
    values: [answer.key.id, id],
  });
}

const worker = new Worker("peers", send, { connection: redis, concurrency });
worker.on("failed", (_job, error) => console.error(error.message));
worker.on("error", (error) => console.error(error.message));

process.on("SIGTERM", async () => {
  await worker.close();
  process.exit(0);
});
