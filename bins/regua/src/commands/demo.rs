//! `regua demo`: posts a file to the API, shows the progress of the messages, and accounts for every row of the file.

mod account;
mod rows;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use regua_boot::Clock;
use regua_domain::{ControlAction, MessageType, QueueId, QueueStatus as Status};
use regua_sandbox::{Effect, Fault, Numbers};
use regua_store::contacts::Contact;
use regua_store::queues::Queue;
use tokio::time::Instant;

use self::account::Account;
use super::queue::{control, watch_until_final};
use super::send::{self, Options};
use crate::client::Client;
use crate::files::contact_file::ContactFile;
use crate::fleet::api_keys;
use crate::fleet::example_tenant::{self, Pace};
use crate::fleet::{Fleet, FleetArguments};
use crate::output;

/// Rows of the example file.
const ROWS: usize = 500;
/// Endings of the phone numbers that are not on WhatsApp: about 3 in 100.
const NOT_ON_WHATSAPP: [&str; 3] = ["13", "37", "71"];

#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  DATABASE_URL=postgres://regua:…@127.0.0.1/regua regua demo --exit\n\nWithout servers of your own: make demo"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    fleet: FleetArguments,
    /// Port of the API, at 127.0.0.1; absent: a free port
    #[arg(long)]
    port: Option<u16>,
    /// End after the summary; exit status 0 only if every message is accounted for
    #[arg(long)]
    exit: bool,
    /// Contacts to post
    #[arg(long, value_name = "N", default_value_t = ROWS, value_parser = contacts)]
    contacts: usize,
}

/// Runs until Ctrl-C, or with `--exit` until the summary.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let shutdown = regua_boot::on_signal()?;
    let (fleet, mut programs) = Fleet::open("demo", &arguments.fleet, arguments.port, 0).await?;
    let pace = Pace::for_contacts(arguments.contacts);
    let tenant = example_tenant::ensure(&fleet.pool, &fleet.secrets, &fleet.gateway, pace).await?;
    let mut transaction = fleet.pool.begin().await?;
    let key = api_keys::create_demo_key(&mut transaction, tenant).await?;
    transaction.commit().await?;
    let client = Client::with_api_key(&fleet.api, &key)?;
    inject_faults(&fleet)?;
    cancel_unfinished_queues(&client).await?;
    fleet.start_senders(&mut programs)?;
    print_introduction(&fleet, &key, arguments.contacts, pace)?;

    let work = async {
        let ending = show(&fleet, &client, arguments.contacts, pace).await?;
        if !arguments.exit {
            output::line("\nEverything stays up at the addresses above until Ctrl-C.")?;
            shutdown.cancelled().await;
        }
        Ok(ending)
    };
    let ending = programs.run_until(&shutdown, work).await?;
    Ok(ending.unwrap_or(ExitCode::FAILURE))
}

/// As in production, some numbers are not on WhatsApp, and the gateway sometimes fails before it sends.
fn inject_faults(fleet: &Fleet) -> anyhow::Result<()> {
    let suffixes = NOT_ON_WHATSAPP.map(str::to_owned).to_vec();
    fleet.sandbox.set_numbers(Numbers { not_on_whatsapp_suffixes: suffixes, ..Numbers::default() });
    let failure =
        Fault { probability: Some(0.04), seed: 2026, times: Some(6), ..Fault::every_send(Effect::Envelope500) };
    fleet.sandbox.set_faults(vec![failure]).map_err(anyhow::Error::msg)
}

/// Queues of an earlier demo would send through this sandbox, and the account counts only the rows of this file.
async fn cancel_unfinished_queues(client: &Client) -> anyhow::Result<()> {
    for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
        let path = format!("/billing/queues?status={status}&");
        for Queue { queue_id: id, .. } in client.first(&path, 1000).await? {
            control(client, id, ControlAction::Cancel).await?;
            output::remark(format_args!("cancelled queue {id}, which an earlier run left unfinished"));
        }
    }
    Ok(())
}

fn print_introduction(fleet: &Fleet, key: &str, contacts: usize, pace: Pace) -> anyhow::Result<()> {
    fleet.print_addresses(key)?;
    output::line(format_args!(
        "\nRégua: {contacts} overdue bills through the API, {}, a worker and the sandbox.",
        fleet.broker()
    ))?;
    output::line(format_args!(
        "The demo tenant sends round the clock at {} messages a minute; a new tenant sends 20 a minute, Monday to Friday.",
        pace.rate
    ))?;
    output::line("A few numbers are not on WhatsApp, and the gateway fails now and then.\n")
}

async fn show(fleet: &Fleet, client: &Client, contacts: usize, pace: Pace) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let file = ContactFile::parse(rows::csv_text(contacts)?.as_bytes(), MessageType::Overdue)?;
    let rows = file.contacts.len();
    let options = Options {
        external_id: Some(format!("DEMO-{}", Clock::system().now().format("%Y%m%d-%H%M%S%.3f"))),
        template: Some(example_tenant::OVERDUE_TEMPLATE.to_owned()),
        instance: Some(example_tenant::INSTANCE.to_owned()),
        ..Options::default()
    };
    let batches = send::split(file, &options, MessageType::Overdue)?;
    let report = send::post(client, MessageType::Overdue, &batches).await?;
    let queues = report.queues();
    watch_until_final(client, &queues, Some(timeout(contacts, pace))).await?;
    let contacts = all_contacts(client, &queues).await?;
    let account = Account::new(rows, &report, &contacts, &fleet.sandbox.ledger(), fleet.sandbox.ledger_summary());
    account.print(started.elapsed())?;
    Ok(output::success_if(account.is_complete()))
}

/// Twice the expected time, and time for the lease of an earlier run that was killed to expire.
fn timeout(contacts: usize, pace: Pace) -> Duration {
    let minutes = 2 * contacts / usize::try_from(pace.rate).unwrap_or(1).max(1);
    Duration::from_mins(2 + minutes as u64)
}

async fn all_contacts(client: &Client, queues: &[QueueId]) -> anyhow::Result<Vec<Contact>> {
    let mut all = Vec::new();
    for queue in queues {
        all.extend(client.first(&format!("/billing/queue/{queue}/contacts?"), usize::MAX).await?);
    }
    Ok(all)
}

fn contacts(text: &str) -> Result<usize, String> {
    let contacts = text.parse().ok().filter(|contacts| (1..=1_000_000).contains(contacts));
    contacts.ok_or_else(|| "use a number from 1 to 1000000".to_owned())
}
