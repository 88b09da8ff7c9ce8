//! `regua demo`: the whole system at work. It posts a real file through the real API, shows the messages going out to the
//! sandbox, and accounts for every row of the file.

mod account;
mod rows;

use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;
use regua_boot::Clock;
use regua_domain::{MessageType, QueueStatus as Status, TenantId};
use regua_sandbox::{Effect, Fault, Numbers};
use sqlx::PgPool;
use tokio::time::Instant;
use uuid::Uuid;

use self::account::Account;
use crate::api_key::{self, Grant};
use crate::arguments::Ending;
use crate::batches::{self, Options};
use crate::client::{Client, Contact};
use crate::contact_file::ContactFile;
use crate::example_tenant::{self, Pace};
use crate::fleet::{Fleet, FleetArguments};
use crate::{dev, output, send, watch};

/// Rows of the example file.
const ROWS: usize = 500;
/// Numbers that end so are not on WhatsApp: about 3 in 100, always the same ones.
const NOT_ON_WHATSAPP: [&str; 3] = ["13", "37", "71"];
/// How long a key of a demo is valid.
const KEY_LIFE: TimeDelta = TimeDelta::days(1);

/// What `regua demo` takes.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  DATABASE_URL=postgres://regua:…@127.0.0.1/regua regua demo --exit\n\nWithout servers of your own: make demo"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    fleet: FleetArguments,
    /// Port of the API, at 127.0.0.1; absent: a free one
    #[arg(long)]
    port: Option<u16>,
    /// End after the summary; exit status 0 only if every message is accounted for
    #[arg(long)]
    exit: bool,
    /// Contacts to post
    #[arg(long, value_name = "N", default_value_t = ROWS, value_parser = contacts)]
    contacts: usize,
}

/// Runs the demo, and stays up until Ctrl-C unless told to end.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    let shutdown = regua_boot::on_signal()?;
    let (fleet, mut programs) = Fleet::open("demo", &arguments.fleet, arguments.port, 0).await?;
    let pace = Pace::for_contacts(arguments.contacts);
    let tenant = example_tenant::ensure(&fleet.pool, &fleet.secrets, &fleet.gateway, pace).await?;
    let key = fresh_key(&fleet.pool, tenant).await?;
    let client = Client::new(&fleet.api, &key)?;
    trouble(&fleet)?;
    cancel_leftovers(&client).await?;
    fleet.start_senders(&mut programs)?;
    introduce(&fleet, &key, arguments.contacts, pace)?;

    let shown = tokio::select! {
        shown = show(&fleet, &client, arguments.contacts, pace) => Some(shown),
        error = programs.failed() => Some(Err(error)),
        () = shutdown.cancelled() => None,
    };
    let shown = match shown {
        Some(Ok(ending)) if !arguments.exit => {
            output::line("\nEverything stays up at the addresses above until Ctrl-C.")?;
            tokio::select! {
                () = shutdown.cancelled() => Some(Ok(ending)),
                error = programs.failed() => Some(Err(error)),
            }
        }
        shown => shown,
    };
    if shutdown.is_cancelled() {
        output::remark("\nstopping …");
    }
    let ended = programs.end().await;
    let ending = shown.unwrap_or(Ok(Ending::Failed))?;
    ended?;
    Ok(ending)
}

async fn fresh_key(pool: &PgPool, tenant: TenantId) -> anyhow::Result<String> {
    let expires_at = Some(Clock::system().now() + KEY_LIFE);
    let grant = Grant {
        tenant,
        name: "demo",
        types: &[MessageType::Overdue],
        networks: &[],
        expires_at,
        requests_per_minute: None,
    };
    let mut transaction = pool.begin().await?;
    let key = api_key::create(&mut transaction, &grant).await?;
    transaction.commit().await?;
    Ok(key)
}

/// Real life: some numbers are not on WhatsApp, and now and then the gateway stumbles before it has sent.
fn trouble(fleet: &Fleet) -> anyhow::Result<()> {
    let suffixes = NOT_ON_WHATSAPP.map(str::to_owned).to_vec();
    fleet.sandbox.set_numbers(Numbers { not_on_whatsapp_suffixes: suffixes, ..Numbers::default() });
    let stumble =
        Fault { probability: Some(0.04), seed: 2026, times: Some(6), ..Fault::every_send(Effect::Envelope500) };
    fleet.sandbox.set_faults(vec![stumble]).map_err(anyhow::Error::msg)
}

/// What an earlier demo left unfinished would leave through this one's sandbox, and belongs to no row of this file.
async fn cancel_leftovers(client: &Client) -> anyhow::Result<()> {
    for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
        let page = client.queues(&format!("limit=1000&status={status}")).await?;
        for queue in page["items"].as_array().into_iter().flatten() {
            let id: Uuid = serde_json::from_value(queue["queue_id"].clone())?;
            client.control(id, "cancel").await?;
            output::remark(format_args!("cancelled queue {id}, which an earlier run left unfinished"));
        }
    }
    Ok(())
}

fn introduce(fleet: &Fleet, key: &str, contacts: usize, pace: Pace) -> anyhow::Result<()> {
    dev::print_addresses(fleet, key)?;
    output::line(format_args!(
        "\nRégua: {contacts} overdue bills through the API, {}, a worker and the sandbox.",
        fleet.broker()
    ))?;
    output::line(format_args!(
        "The demo tenant sends round the clock at {} messages a minute; a new tenant sends 20 a minute, Monday to Friday.",
        pace.rate
    ))?;
    output::line("A few numbers are not on WhatsApp, and the gateway stumbles now and then.\n")
}

/// Posts, watches, and accounts for every row.
async fn show(fleet: &Fleet, client: &Client, contacts: usize, pace: Pace) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let file = ContactFile::parse(rows::of(contacts)?.as_bytes(), MessageType::Overdue)?;
    let rows = file.contacts.len();
    let options = Options {
        external_id: Some(format!("DEMO-{}", Clock::system().now().format("%Y%m%d-%H%M%S%.3f"))),
        template: Some(example_tenant::OVERDUE_TEMPLATE.to_owned()),
        instance: Some(example_tenant::INSTANCE.to_owned()),
        ..Options::default()
    };
    let batches = batches::of(file, &options, MessageType::Overdue)?;
    let report = send::post(client, MessageType::Overdue, &batches).await?;
    let queues = report.queues();
    watch::until_final(client, &queues, Some(patience(contacts, pace))).await?;
    let contacts = contacts_of(client, &queues).await?;
    let account = Account::new(rows, &report, &contacts, &fleet.sandbox.ledger(), fleet.sandbox.ledger_summary());
    account.print(started.elapsed())?;
    Ok(Ending::of(account.is_complete()))
}

/// Twice what it should take, and a minute for a lane that an earlier run held when it was killed.
fn patience(contacts: usize, pace: Pace) -> Duration {
    let minutes = 2 * contacts / usize::try_from(pace.rate).unwrap_or(1).max(1);
    Duration::from_mins(2 + minutes as u64)
}

async fn contacts_of(client: &Client, queues: &[Uuid]) -> anyhow::Result<Vec<Contact>> {
    let mut all = Vec::new();
    for queue in queues {
        let mut cursor = None;
        loop {
            let page = client.contacts(*queue, cursor.as_deref()).await?;
            all.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(all)
}

fn contacts(text: &str) -> Result<usize, String> {
    let contacts = text.parse().ok().filter(|contacts| (1..=1_000_000).contains(contacts));
    contacts.ok_or_else(|| "use a number from 1 to 1000000".to_owned())
}
