//! Batches the database work of many lanes. A task takes all waiting requests as one group and works on the group in
//! one transaction; meanwhile the next group gathers. A single request does not wait for others, and ten thousand lanes
//! share a few connections.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use regua_domain::InstanceId;
use regua_store::{PinnedConnection, TRANSACTION_TIMEOUT, within};
use sqlx::{PgConnection, PgPool};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// The first pause before a group is repeated; each further one is twice as long, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How requests are grouped.
pub(crate) struct GroupSettings<Request> {
    /// The name of the requests in the log.
    pub(crate) name: &'static str,
    /// Number of tasks, each with one group at a time. All requests of a lane go to the same task, so that two groups
    /// do not wait for the same lane's lock.
    pub(crate) tasks: usize,
    /// Most requests of one group.
    pub(crate) limit: usize,
    /// Whether a request is repeated while the database is unavailable, because only the request holds its data. Any
    /// other request fails at once.
    pub(crate) is_repeated: fn(&Request) -> bool,
}

/// Works on one group in one transaction; returns one answer for each request, in the order of the requests.
pub(crate) type Work<Context, Request, Answer> =
    for<'a> fn(&'a Context, &'a mut PgConnection, &'a [&'a Request]) -> Working<'a, Answer>;
pub(crate) type Working<'a, Answer> = Pin<Box<dyn Future<Output = anyhow::Result<Vec<Answer>>> + Send + 'a>>;

type Entry<Request, Answer> = (Request, oneshot::Sender<anyhow::Result<Answer>>);

/// Sends requests to the tasks that work on groups of requests.
pub(crate) struct Grouped<Request, Answer> {
    tasks: Vec<mpsc::Sender<Entry<Request, Answer>>>,
}

impl<Request: Send + Sync + 'static, Answer: Send + 'static> Grouped<Request, Answer> {
    /// Starts the tasks, which end when the `Grouped` is dropped and every request is answered.
    pub(crate) fn start<Context: Clone + Send + Sync + 'static>(
        settings: &GroupSettings<Request>,
        pool: &PgPool,
        context: Context,
        work: Work<Context, Request, Answer>,
    ) -> (Self, Vec<JoinHandle<()>>) {
        let GroupSettings { name, tasks, limit, is_repeated } = *settings;
        let start = |_| {
            let (entries, mut inbox) = mpsc::channel(4 * limit);
            let mut task = GroupTask { context: context.clone(), conn: PinnedConnection::new(pool.clone()), work };
            let handle = tokio::spawn(async move {
                let mut gathered = Vec::new();
                while task.conn.await_work(inbox.recv_many(&mut gathered, limit)).await > 0 {
                    let group = std::mem::take(&mut gathered);
                    answer(name, group, is_repeated, &mut task, |task, group| Box::pin(task.run(group))).await;
                }
            });
            (entries, handle)
        };
        let (tasks, handles) = (0..tasks).map(start).unzip();
        (Self { tasks }, handles)
    }

    /// Returns when the request is accepted; the receiver gets its answer. Requests of one lane are worked on in the
    /// order of the calls.
    pub(crate) async fn send(
        &self,
        instance: InstanceId,
        request: Request,
    ) -> oneshot::Receiver<anyhow::Result<Answer>> {
        let (answer, answered) = oneshot::channel();
        let task = usize::from(instance.0.as_bytes()[15]) % self.tasks.len();
        // If the task has ended, the request is dropped with the sender of its answer, and the receiver gets an error.
        let _gone = self.tasks[task].send((request, answer)).await;
        answered
    }

    /// Waits for the answer.
    pub(crate) async fn ask(&self, instance: InstanceId, request: Request) -> anyhow::Result<Answer> {
        self.send(instance, request).await.await.context("the task for these requests has ended")?
    }
}

/// One task with its connection.
struct GroupTask<Context, Request, Answer> {
    context: Context,
    conn: PinnedConnection,
    work: Work<Context, Request, Answer>,
}

impl<Context, Request, Answer> GroupTask<Context, Request, Answer> {
    async fn run(&mut self, requests: &[&Request]) -> anyhow::Result<Vec<Answer>> {
        let working = async { (self.work)(&self.context, self.conn.get().await?, requests).await };
        let worked = within(TRANSACTION_TIMEOUT, working).await;
        if worked.is_err() {
            self.conn.give_back();
        }
        worked
    }
}

/// Answers every request of a group. If the database refuses the group, each of its requests becomes a group of its
/// own, so that one refused request does not fail the others.
async fn answer<Request, Answer, Task>(
    name: &str,
    gathered: Vec<Entry<Request, Answer>>,
    is_repeated: fn(&Request) -> bool,
    task: &mut Task,
    run: for<'a> fn(&'a mut Task, &'a [&'a Request]) -> Working<'a, Answer>,
) {
    let mut groups = VecDeque::from([gathered]);
    let mut pause = FIRST_PAUSE;
    while let Some(group) = groups.pop_front() {
        let requests: Vec<_> = group.iter().map(|(request, _)| request).collect();
        let error = match run(task, &requests).await {
            Ok(answers) => {
                for ((_, sender), answer) in group.into_iter().zip(answers) {
                    // The receiver is dropped when its lane has stopped.
                    let _gone = sender.send(Ok(answer));
                }
                continue;
            }
            Err(error) => error,
        };
        let entries = group.len();
        if is_unavailable(&error) {
            tracing::warn!(error = format!("{error:#}"), entries, "{name}: the database is unavailable");
            let (repeated, failed): (Vec<_>, Vec<_>) = group.into_iter().partition(|(request, _)| is_repeated(request));
            fail(failed, &error);
            if !repeated.is_empty() {
                groups.push_front(repeated);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        } else if entries > 1 {
            tracing::error!(error = format!("{error:#}"), entries, "{name}: a refused group is repeated one by one");
            groups.extend(group.into_iter().map(|entry| vec![entry]));
        } else {
            tracing::error!(error = format!("{error:#}"), "{name}: a request was refused for good");
            fail(group, &error);
        }
    }
}

fn fail<Request, Answer>(group: Vec<Entry<Request, Answer>>, error: &anyhow::Error) {
    for (_, sender) in group {
        let _gone = sender.send(Err(anyhow!("{error:#}")));
    }
}

/// Whether the database was unavailable, and did not refuse a request.
fn is_unavailable(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(regua_store::is_unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPEATED: u8 = 2;

    /// Answers requests; the closure says how each group that it gets ends.
    async fn answers<W: FnMut(&[u8]) -> anyhow::Result<()>>(requests: &[u8], mut work: W) -> Vec<Option<u8>> {
        let (senders, receivers): (Vec<_>, Vec<_>) = requests.iter().map(|_| oneshot::channel()).unzip();
        let group = requests.iter().copied().zip(senders).collect();
        let run = |work: &mut W, requests: &[&u8]| -> Working<'_, u8> {
            let requests: Vec<_> = requests.iter().map(|request| **request).collect();
            Box::pin(std::future::ready(work(&requests).map(|()| requests)))
        };
        answer("numbers", group, |request| *request == REPEATED, &mut work, run).await;
        receivers.into_iter().map(|mut receiver| receiver.try_recv().unwrap().ok()).collect()
    }

    #[tokio::test]
    async fn refused_request_does_not_fail_the_others_of_its_group() {
        let refuse = |group: &[u8]| if group.contains(&3) { Err(anyhow!("a bad request")) } else { Ok(()) };
        assert_eq!(answers(&[1, 2, 3, 4], refuse).await, [Some(1), Some(2), None, Some(4)]);
    }

    #[tokio::test]
    async fn unavailable_database_fails_all_requests_but_those_that_are_repeated() {
        let mut groups = Vec::new();
        let recover = |group: &[u8]| {
            groups.push(group.to_vec());
            if groups.len() < 3 { Err(sqlx::Error::PoolTimedOut.into()) } else { Ok(()) }
        };
        assert_eq!(answers(&[1, REPEATED, 3], recover).await, [None, Some(REPEATED), None]);
        assert_eq!(groups, [vec![1, REPEATED, 3], vec![REPEATED], vec![REPEATED]]);
    }
}
