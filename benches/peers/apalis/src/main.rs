//! The apalis peer: one task per contact, stored in PostgreSQL beside it. Usage: `enqueue CONTACTS WARM_UP` or `work`.

use std::env;
use std::time::{Duration, Instant};

use apalis::layers::WorkerBuilderExt;
use apalis::layers::retry::RetryPolicy;
use apalis::prelude::*;
use apalis_postgres::{Config, PgTask, PostgresStorage, queries::push_tasks};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::signal::unix::{SignalKind, signal};

const QUEUE: &str = "peers";
const CHUNK: usize = 1000;

#[derive(Deserialize)]
struct Contact {
    id: i64,
    number: String,
    nome: String,
    valor: String,
    vencimento: String,
    referencia: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Reminder {
    id: i64,
    number: String,
    text: String,
}

/// Clients of the process. reqwest and sqlx pool their connections.
#[derive(Clone)]
struct Clients {
    database: PgPool,
    gateway: reqwest::Client,
    url: String,
    token: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let connections = env::var("APALIS_CONNECTIONS")?.parse()?;
    let database = PgPoolOptions::new().max_connections(connections).connect(&env::var("DATABASE_URL")?).await?;
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["enqueue", contacts, warm_up] => enqueue_all(&database, contacts, warm_up.parse()?).await,
        ["work"] => work(database).await,
        _ => anyhow::bail!("usage: peer-apalis enqueue CONTACTS WARM_UP | work"),
    }
}

// --- Intake ---------------------------------------------------------------------------------------------------------

async fn enqueue_all(database: &PgPool, contacts: &str, warm_up: usize) -> anyhow::Result<()> {
    PostgresStorage::setup(database).await?;
    let template = std::fs::read_to_string(env::var("TEMPLATE")?)?;
    let contacts: Vec<Contact> = serde_json::from_str(&std::fs::read_to_string(contacts)?)?;
    let (first, rest) = contacts.split_at(warm_up);
    enqueue(database, template.trim(), first).await?;
    let begun = Instant::now();
    enqueue(database, template.trim(), rest).await?;
    println!("{}", begun.elapsed().as_secs_f64());
    Ok(())
}

/// One transaction writes row and task.
async fn enqueue(database: &PgPool, template: &str, contacts: &[Contact]) -> anyhow::Result<()> {
    for chunk in contacts.chunks(CHUNK) {
        let reminders: Vec<_> = chunk.iter().map(|contact| reminder(template, contact)).collect();
        let tasks: Result<Vec<PgTask>, serde_json::Error> =
            reminders.iter().map(|reminder| Ok(TaskBuilder::new(serde_json::to_vec(reminder)?).build())).collect();
        let mut transaction = database.begin().await?;
        sqlx::query(
            "insert into contacts (id, number, text) select * from unnest($1::bigint[], $2::text[], $3::text[])",
        )
        .bind(reminders.iter().map(|reminder| reminder.id).collect::<Vec<_>>())
        .bind(reminders.iter().map(|reminder| reminder.number.as_str()).collect::<Vec<_>>())
        .bind(reminders.iter().map(|reminder| reminder.text.as_str()).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
        push_tasks(&mut *transaction, QUEUE, tasks?).await?;
        transaction.commit().await?;
    }
    Ok(())
}

fn reminder(template: &str, contact: &Contact) -> Reminder {
    let text = template
        .replace("{{nome}}", &contact.nome)
        .replace("{{valor}}", &contact.valor)
        .replace("{{vencimento}}", &contact.vencimento)
        .replace("{{referencia}}", &contact.referencia);
    Reminder { id: contact.id, number: contact.number.clone(), text }
}

// --- Work -----------------------------------------------------------------------------------------------------------

async fn work(database: PgPool) -> anyhow::Result<()> {
    let batch: usize = env::var("APALIS_BATCH")?.parse()?;
    let concurrency: usize = env::var("APALIS_CONCURRENCY")?.parse()?;
    let workers: usize = env::var("APALIS_WORKERS")?.parse()?;
    let storage =
        PostgresStorage::<Reminder>::new(&database).with_config(Config::default().queue(QUEUE).batch_size(batch));
    let clients = Clients {
        database,
        gateway: reqwest::Client::builder().timeout(Duration::from_secs(130)).build()?,
        url: format!("{}/message/sendText/{}", env::var("GATEWAY_URL")?, env::var("GATEWAY_INSTANCE")?),
        token: env::var("GATEWAY_TOKEN")?,
    };
    let mut monitor = Monitor::new();
    for index in 0..workers {
        let (storage, clients) = (storage.clone(), clients.clone());
        monitor = monitor.register(move |restart| {
            WorkerBuilder::new(format!("worker-{index}-{restart}"))
                .backend(storage.clone())
                .retry(RetryPolicy::retries(3))
                .concurrency(concurrency)
                .parallelize(tokio::spawn)
                .data(clients.clone())
                .build(send)
        });
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let ending = async move {
        terminate.recv().await;
        Ok(())
    };
    monitor.shutdown_timeout(Duration::from_secs(5)).run_with_signal(ending).await?;
    Ok(())
}

async fn send(reminder: Reminder, clients: Data<Clients>) -> Result<(), BoxDynError> {
    let answer: serde_json::Value = clients
        .gateway
        .post(&clients.url)
        .header("apikey", &clients.token)
        .json(&serde_json::json!({"number": reminder.number, "text": reminder.text, "linkPreview": false}))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let message_id = answer["key"]["id"].as_str().ok_or("an answer without an id")?;
    sqlx::query("update contacts set status = 'sent', message_id = $1, sent_at = clock_timestamp() where id = $2")
        .bind(message_id)
        .bind(reminder.id)
        .execute(&clients.database)
        .await?;
    Ok(())
}
