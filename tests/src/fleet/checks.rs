//! The checks at the end of every test's fleet.

use std::collections::HashMap;

use regua_store::queues;

use super::Fleet;
use crate::logs;

/// Contacts whose last event names another state. A tenant without events is one whose events were deleted.
const CONTACTS_UNLIKE_EVENTS: &str = "select count(*) from contacts c left join (
        select distinct on (tenant_id, contact_id) tenant_id, contact_id, kind from events
        where contact_id is not null and kind not in ('contact.delivered', 'contact.read', 'contact.undelivered')
        order by tenant_id, contact_id, seq desc
    ) e using (tenant_id, contact_id)
    where c.status <> 'sending' and tenant_id in (select tenant_id from events)
      and 'contact.' || case c.status when 'pending' then 'requeued' else c.status end
          <> coalesce(e.kind, case when c.status = 'pending' then 'contact.requeued' else '' end)";

/// Queues whose last event names another state.
const QUEUES_UNLIKE_EVENTS: &str = "select count(*) from queues q left join (
        select distinct on (tenant_id, queue_id) tenant_id, queue_id, kind from events
        where queue_id is not null and contact_id is null
        order by tenant_id, queue_id, seq desc
    ) e using (tenant_id, queue_id)
    where tenant_id in (select tenant_id from events)
      and 'queue.' || case when q.status in ('scheduled', 'pending', 'running') then 'resumed' else q.status end
          <> coalesce(e.kind, case when q.status in ('scheduled', 'pending', 'running') then 'queue.resumed' else '' end)";

impl Fleet {
    /// The number of messages in the gateway's ledger for each recipient.
    pub fn sent_by_number(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for entry in self.sandbox.ledger() {
            *counts.entry(entry.number.clone()).or_insert(0) += 1;
        }
        counts
    }

    /// Asserts that the ledger has this number of messages, each to another recipient.
    pub fn assert_each_left_once(&self, expected: usize) {
        let sent = self.sent_by_number();
        let twice: Vec<_> = sent.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "recipients with more than one message: {twice:?}");
        assert_eq!(sent.len(), expected, "messages in the ledger");
    }

    /// Ends the fleet; asserts that no contact, doorbell or lease is open, and checks counts and ledger.
    pub async fn end(mut self) {
        // A doorbell may be published again after its delivery, if its publisher got no confirm.
        crate::eventually("all doorbells to be published", async || {
            self.try_count("select count(*) from doorbells").await.is_none_or(|left| left == 0)
        })
        .await;
        self.shut_down().await;
        let checks = [
            (
                "contacts left pending or sending",
                "select count(*) from contacts where status in ('pending', 'sending')",
            ),
            ("waiting doorbells", "select count(*) from doorbells"),
            ("leases left", "select count(*) from lanes where leased_by is not null"),
        ];
        for (what, query) in checks {
            assert_eq!(self.count(query).await, 0, "{what}");
        }
        self.assert_counts_and_ledger_agree().await;
    }

    /// Ends the fleet of a test that leaves pending work; counts and ledger are checked.
    pub async fn end_unfinished(mut self) {
        self.shut_down().await;
        self.assert_counts_and_ledger_agree().await;
    }

    /// Ends the fleet of a test without the sandbox's ledger; counts are checked.
    pub async fn end_without_the_ledger(mut self) {
        self.shut_down().await;
        self.assert_counts().await;
    }

    async fn shut_down(&mut self) {
        self.has_ended = true;
        self.shutdown.cancel();
        for (_, (_, running)) in self.workers.drain() {
            running.await.unwrap().unwrap();
        }
        for running in self.programs.drain(..) {
            running.await.unwrap().unwrap();
        }
        self.assert_nothing_leaked();
    }

    /// The logs of this process since the start of the fleet, with those of other tests' fleets.
    pub fn logged(&self) -> String {
        String::from_utf8_lossy(&self.logs.text()).into_owned()
    }

    fn assert_nothing_leaked(&self) {
        logs::register_password_of(&self.database.url);
        self.options.amqp_url.iter().for_each(|url| logs::register_password_of(url));
        let leaks = self.logs.leaks();
        assert!(leaks.is_empty(), "secrets or phone numbers were logged:\n{}", leaks.join("\n"));
    }

    async fn assert_counts(&self) {
        let miscounted = queues::list_miscounted(&mut self.database.pool.acquire().await.unwrap(), 10).await.unwrap();
        assert!(miscounted.is_empty(), "wrong counts: {miscounted:?}");
        assert_eq!(self.count(CONTACTS_UNLIKE_EVENTS).await, 0, "contacts whose last event is not their state");
        assert_eq!(self.count(QUEUES_UNLIKE_EVENTS).await, 0, "queues whose last event is not their state");
    }

    async fn assert_counts_and_ledger_agree(&self) {
        self.assert_counts().await;
        let ledger: HashMap<_, _> =
            self.sandbox.ledger().iter().map(|entry| (entry.message_id.clone(), entry.number.clone())).collect();
        #[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
        let sent: Vec<(String, Option<String>)> = sqlx::query_as(
            // A contact that an operator confirmed has no evidence in the ledger.
            "select phone, message_id from contacts c where status = 'sent' and not exists (
                     select from attempts a where a.tenant_id = c.tenant_id and a.contact_id = c.contact_id
                       and a.settled_by = 'operator')",
        )
        .fetch_all(&self.database.pool)
        .await
        .unwrap();
        for (phone, message_id) in sent {
            let number = message_id.and_then(|id| ledger.get(&id).cloned());
            assert_eq!(number.as_deref(), Some(phone.trim_start_matches('+')), "sent, but not in the ledger");
        }
    }
}
