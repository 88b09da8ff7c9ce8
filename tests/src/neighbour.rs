//! The neighbour suite: attacks on a real deployment beside a victim, a tenant that posts, reads, sends and receives
//! receipts. It measures the victim before, during and after each attack (docs/limits.md).

mod attack;
mod measures;
mod outcome;
mod testbed;
mod victim;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use self::measures::{Mark, Monitor};
use self::testbed::Testbed;
use self::victim::Victim;

pub use self::attack::{Attack, Target};
pub use self::outcome::{Outcome, TABLE_HEAD};
pub use self::testbed::{Binaries, prepare_server};

/// The longest time of an attack, after which its process ends.
pub const LONGEST_ATTACK: Duration = Duration::from_secs(60);

/// How the suite runs an attack.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The programs of the fleet.
    pub binaries: Binaries,
    /// The program that attacks, `regua-security`.
    pub attacker: PathBuf,
    /// Divides the size of the attack.
    pub divisor: usize,
    /// The API's budget of requests under way.
    pub concurrent_requests: usize,
    /// Between two posts of the victim, and between two of its status requests.
    pub victim_interval: Duration,
    /// How long the victim is measured before the attack.
    pub before: Duration,
    /// How long the victim is measured from the beginning of the attack, also if the attack ends earlier.
    pub during: Duration,
    /// How long after the attack everything may take to be as before.
    pub recovery: Duration,
    /// How long the victim is measured after that time.
    pub after: Duration,
    /// Whether to wait at the end until all messages of the victim have left.
    pub waits_for_messages: bool,
}

/// Runs one attack beside the victim, on a deployment of its own.
pub async fn run(attack: Attack, settings: &Settings) -> Outcome {
    let testbed = Testbed::start(attack, settings).await;
    let mut target = testbed.target(settings.divisor);
    target.prepared = attack.prepare(&target).await;
    testbed.analyze().await;
    let victim = Victim::start(testbed.victim(), settings.victim_interval);
    testbed.wait_for_receipts().await;
    let monitor = Monitor::start(&testbed);

    let mark = Mark::now();
    sleep(settings.before).await;
    let before = mark.end(&testbed).await;
    let mark = Mark::now();
    let report = attack_in_process(attack, &target, settings).await;
    sleep(settings.during.saturating_sub(mark.elapsed())).await;
    let during = mark.end(&testbed).await;
    sleep(settings.recovery).await;
    let mark = Mark::now();
    sleep(settings.after).await;
    let after = mark.end(&testbed).await;

    let samples = victim.stop().await;
    let [before, during, after] = [before, during, after].map(|span| monitor.measure(&span, &samples));
    let unsent = if settings.waits_for_messages { testbed.count_unsent().await } else { 0 };
    Outcome { attack, report, before, during, after, unsent }
}

/// Runs the attack in a process of low priority, so that the attacker's own work is not measured.
async fn attack_in_process(attack: Attack, target: &Target, settings: &Settings) -> String {
    let mut command = Command::new("nice");
    command.args(["-n", "10"]).arg(&settings.attacker).args(["--attack", &attack.to_string()]);
    command.env(Target::VARIABLE, serde_json::to_string(target).unwrap()).stdin(Stdio::null()).stdout(Stdio::piped());
    let begun = Instant::now();
    let child = command.spawn().expect("nice runs the attack");
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    let seconds = begun.elapsed().as_secs();
    format!("{} ({}, {seconds} s)", String::from_utf8_lossy(&ended.stdout).trim(), ended.status)
}
