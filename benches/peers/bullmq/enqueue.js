// BullMQ's intake: rows in groups of 1000, jobs by addBulk.
import { readFileSync } from "node:fs";
import { Queue } from "bullmq";
import IORedis from "ioredis";
import pg from "pg";

const CHUNK = 1000;
const JOB = { attempts: 3, backoff: { type: "exponential", delay: 1000 }, removeOnComplete: true };

const [contactsFile, warmUp] = [process.argv[2], Number(process.argv[3])];
const template = readFileSync(process.env.TEMPLATE, "utf8").trim();
const database = new pg.Client({ connectionString: process.env.DATABASE_URL });
const redis = new IORedis(process.env.REDIS_URL);
const queue = new Queue("peers", { connection: redis });

const render = (contact) => template.replace(/\{\{(\w+)\}\}/g, (_, name) => contact[name]);

async function enqueue(contacts) {
  for (let start = 0; start < contacts.length; start += CHUNK) {
    const jobs = contacts
      .slice(start, start + CHUNK)
      .map((contact) => ({ id: contact.id, number: contact.number, text: render(contact) }));
    await database.query(
      "insert into contacts (id, number, text) select * from unnest($1::bigint[], $2::text[], $3::text[])",
      [jobs.map((job) => job.id), jobs.map((job) => job.number), jobs.map((job) => job.text)],
    );
    await queue.addBulk(jobs.map((data) => ({ name: "send", data, opts: JOB })));
  }
}

await database.connect();
const contacts = JSON.parse(readFileSync(contactsFile, "utf8"));
await enqueue(contacts.slice(0, warmUp));
const begun = performance.now();
await enqueue(contacts.slice(warmUp));
console.log((performance.now() - begun) / 1000);
await Promise.all([queue.close(), redis.quit(), database.end()]);
