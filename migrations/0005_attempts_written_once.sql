-- An attempt is written once, with its outcome; the one that is under way stands in its contact (docs/adr/0009).

alter table contacts
    -- the latest try, as it was written down before it was made
    add column attempt_id uuid,
    add column attempt_epoch bigint,
    add column attempt_worker text,
    add column attempt_started_at timestamptz;
update contacts c
set attempt_id = a.attempt_id, attempt_epoch = a.lease_epoch, attempt_worker = a.worker,
    attempt_started_at = a.started_at
from attempts a
where a.tenant_id = c.tenant_id and a.contact_id = c.contact_id and a.number = c.attempts;
-- A contact that comes again stays where a takeover finds it while it is tried.
alter table contacts
    drop constraint contacts_check,
    add constraint contacts_requeued_is_unsent check (not requeued or status in ('pending', 'sending')),
    add constraint contacts_sending_has_attempt check (status <> 'sending' or attempt_id is not null);
-- So does one that is tried for the first time: next_position is not raised beyond it any more.
update queues q
set next_position = least(q.next_position, s.position)
from (select tenant_id, queue_id, min(position) as position from contacts where status = 'sending'
      group by tenant_id, queue_id) s
where q.tenant_id = s.tenant_id and q.queue_id = s.queue_id;

alter table evidence
    add column contact_id uuid,
    drop constraint evidence_tenant_id_attempt_id_fkey;
update evidence e set contact_id = a.contact_id
from attempts a where a.tenant_id = e.tenant_id and a.attempt_id = e.attempt_id;
alter table evidence
    alter column contact_id set not null,
    add foreign key (tenant_id, contact_id) references contacts (tenant_id, contact_id) on delete cascade;
drop index evidence_of_attempt;
create index evidence_of_contact on evidence (tenant_id, contact_id);

delete from attempts where finished_at is null;
drop index attempts_open, attempts_of_contact;
alter table attempts
    drop constraint attempts_pkey,
    drop constraint attempts_check,
    add primary key (tenant_id, contact_id, number),
    alter column finished_at set not null,
    alter column outcome set not null,
    -- its contact's
    drop column reference,
    reset (fillfactor);

-- What a takeover looks through: a cancelled queue's last messages may still be on their way.
drop index queues_unfinished;
create index queues_unfinished on queues (tenant_id, instance_id, status)
    where status not in ('completed', 'failed');
