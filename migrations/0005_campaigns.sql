-- Campaigns: templates, the batches with their queues and contacts, and the attempts with their evidence.
--
-- What is erased for privacy, when, and what remains is in docs/privacy.md.

create table templates (
    tenant_id         uuid not null references tenants (tenant_id) on delete cascade,
    template_id       uuid not null,
    name              text not null check (length(name) between 1 and 100),
    type              text not null check (type in ('overdue', 'upcoming', 'notification')),
    variables_schema  jsonb,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    primary key (tenant_id, template_id),
    unique (tenant_id, name)
);
alter table templates enable row level security, force row level security;
create policy platform on templates to regua_platform using (true);
create policy of_one_tenant on templates to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on templates to regua_platform;
grant select, insert, update, delete on templates to regua_api;

create table template_variations (
    tenant_id    uuid not null,
    template_id  uuid not null,
    variation    smallint not null check (variation between 1 and 5),
    source       text not null check (length(source) between 1 and 4096),
    primary key (tenant_id, template_id, variation),
    foreign key (tenant_id, template_id) references templates (tenant_id, template_id) on delete cascade
);
alter table template_variations enable row level security, force row level security;
create policy platform on template_variations to regua_platform using (true);
create policy of_one_tenant on template_variations to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on template_variations to regua_platform;
grant select, insert, update, delete on template_variations to regua_api;

-- Template and instance of a batch that names none.
create table type_defaults (
    tenant_id    uuid not null references tenants (tenant_id) on delete cascade,
    type         text not null check (type in ('overdue', 'upcoming', 'notification')),
    template_id  uuid,
    instance_id  uuid,
    primary key (tenant_id, type),
    foreign key (tenant_id, template_id) references templates (tenant_id, template_id),
    foreign key (tenant_id, instance_id) references instances (tenant_id, instance_id)
);
alter table type_defaults enable row level security, force row level security;
create policy platform on type_defaults to regua_platform using (true);
create policy of_one_tenant on type_defaults to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on type_defaults to regua_platform;
grant select, insert, update, delete on type_defaults to regua_api;

create table campaigns (
    tenant_id      uuid not null references tenants (tenant_id),
    campaign_id    uuid not null,
    external_id    text not null check (length(external_id) between 1 and 200),
    name           text not null,
    type           text not null check (type in ('overdue', 'upcoming', 'notification')),
    template_id    uuid not null,
    instance_id    uuid not null,
    api_key_id     uuid not null,
    -- the replay guard compares it: SHA-256 of the parsed batch
    body_hash      bytea not null check (length(body_hash) = 32),
    -- what the first call answered about its contacts, so that a replay answers the same
    rejected       jsonb not null default '[]',
    warnings       jsonb not null default '[]',
    metadata       jsonb not null default '{}',
    scheduled_for  timestamptz,
    created_at     timestamptz not null,
    primary key (tenant_id, campaign_id),
    unique (tenant_id, external_id),
    foreign key (tenant_id, template_id) references templates (tenant_id, template_id),
    foreign key (tenant_id, instance_id) references instances (tenant_id, instance_id),
    foreign key (tenant_id, api_key_id) references api_keys (tenant_id, api_key_id)
);
create index campaigns_by_external_id on campaigns (external_id);
create index campaigns_by_created_at on campaigns (tenant_id, created_at);
alter table campaigns enable row level security, force row level security;
create policy platform on campaigns to regua_platform using (true);
create policy of_all_tenants on campaigns to regua_fleet using (true);
create policy of_one_tenant on campaigns to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on campaigns to regua_platform;
-- An erasure takes the debtor out of the name, the remarks and the metadata.
grant select, insert, update (name, rejected, warnings, metadata) on campaigns to regua_api;
-- Retention: periodic overwrites the remarks and the metadata without reading them.
grant select (tenant_id, campaign_id), delete, update (rejected, warnings, metadata) on campaigns to regua_fleet;

-- Progress and control of one campaign. The API's processing_by and last_heartbeat are columns of the lane.
create table queues (
    tenant_id      uuid not null,
    queue_id       uuid not null,
    campaign_id    uuid not null,
    instance_id    uuid not null,
    type           text not null check (type in ('overdue', 'upcoming', 'notification')),
    priority       smallint not null check (priority between 1 and 10),
    status         text not null check (status in ('scheduled', 'pending', 'running', 'paused', 'paused_hours',
                       'instance_down', 'completed', 'cancelled', 'failed')),
    reason         text,
    scheduled_for  timestamptz,
    resume_at      timestamptz,
    created_at     timestamptz not null,
    started_at     timestamptz,
    finished_at    timestamptz,
    -- when retention erased the personal data of all its contacts
    erased_at      timestamptz,
    -- no contact below this position waits for its first try (docs/adr/0008-claims-write-nothing.md)
    next_position  integer not null default 0,
    -- Counts of contacts. They change in the transaction that changes a contact; `regua doctor --repair` counts again.
    -- A takeover relies on `sending` (docs/adr/0009-an-attempt-is-written-once.md).
    total          integer not null,
    pending        integer not null check (pending >= 0),
    sending        integer not null default 0 check (sending >= 0),
    sent           integer not null default 0 check (sent >= 0),
    delivered      integer not null default 0 check (delivered between 0 and sent),
    read           integer not null default 0 check (read between 0 and sent),
    failed         integer not null default 0 check (failed >= 0),
    unconfirmed    integer not null default 0 check (unconfirmed >= 0),
    skipped        integer not null default 0 check (skipped >= 0),
    cancelled      integer not null default 0 check (cancelled >= 0),
    primary key (tenant_id, queue_id),
    unique (tenant_id, campaign_id),
    foreign key (tenant_id, campaign_id) references campaigns (tenant_id, campaign_id) on delete cascade,
    foreign key (tenant_id, instance_id) references instances (tenant_id, instance_id),
    constraint queues_counts_add_up
        check (total = pending + sending + sent + failed + unconfirmed + skipped + cancelled)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
create index queues_by_status on queues (tenant_id, status);
create index queues_by_created_at on queues (tenant_id, created_at);
-- The queues that a lane may claim from, most urgent first.
create index queues_of_instance on queues (tenant_id, instance_id, priority desc, created_at)
    where status in ('pending', 'running');
-- What periodic wakes: scheduled queues, and queues that wait for business hours.
create index queues_by_scheduled_for on queues (status, scheduled_for) where status = 'scheduled';
create index queues_by_resume_at on queues (status, resume_at) where resume_at is not null;
-- Queues that recovery, a takeover and the gauge of active queues read. A cancelled queue is among them, because its
-- last messages may still be on their way.
create index queues_unfinished on queues (tenant_id, instance_id, status)
    where status not in ('completed', 'failed');
-- Retention: finished queues whose contacts hold personal data, and finished queues that hold the proof alone.
create index queues_to_erase on queues (tenant_id, finished_at) where finished_at is not null and erased_at is null;
create index queues_erased on queues (tenant_id, finished_at) where finished_at is not null and erased_at is not null;
alter table queues enable row level security, force row level security;
create policy platform on queues to regua_platform using (true);
create policy of_all_tenants on queues to regua_fleet using (true);
create policy of_one_tenant on queues to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on queues to regua_platform;
grant select, insert,
    update (status, reason, resume_at, started_at, finished_at, pending, sending, sent, delivered, read, failed,
        unconfirmed, skipped, cancelled) on queues to regua_api;
grant select,
    update (status, reason, resume_at, started_at, finished_at, erased_at, next_position, pending, sending, sent,
        delivered, read, failed, unconfirmed, skipped, cancelled) on queues to regua_fleet;

create table contacts (
    tenant_id           uuid not null,
    contact_id          uuid not null,
    queue_id            uuid not null,
    -- place in the accepted batch, from 0
    position            integer not null,
    -- the debtor and the bill
    external_id         text,
    name                text not null,
    phone               text not null,
    due_date            date,
    amount_cents        bigint check (amount_cents > 0),
    variables           jsonb not null default '{}',
    metadata            jsonb not null default '{}',
    -- the message
    variation           smallint not null check (variation between 1 and 5),
    reference           text not null,
    text                text not null,
    -- `status` is in no index and in no predicate of one, so that marks and outcomes are HOT updates
    status              text not null default 'pending' check (status in ('pending', 'sending', 'sent', 'failed',
                            'unconfirmed', 'skipped', 'cancelled')),
    -- to be tried a second time; stays true while that attempt is under way, so that a takeover finds the contact
    requeued            boolean not null default false,
    due_at              timestamptz not null,
    -- attempts made, and how many of them followed an attempt whose outcome stayed unknown
    attempts            smallint not null default 0,
    resends             smallint not null default 0,
    -- the rule or the gateway's reason behind the last change
    reason              text,
    -- the latest attempt, stored by its mark before the request is made (docs/adr/0009-an-attempt-is-written-once.md)
    attempt_id          uuid,
    attempt_epoch       bigint,
    attempt_worker      text,
    attempt_started_at  timestamptz,
    message_id          text,
    sent_at             timestamptz,
    delivered_at        timestamptz,
    read_at             timestamptz,
    -- the contact is to be erased and is never sent again; erased at once, or after the outcome of an attempt under way
    erasure_asked_at    timestamptz,
    erased_at           timestamptz,
    -- HMAC-SHA256 with a key that is not in the database: a number that a debtor shows can be matched with the proof
    phone_hash          bytea check (length(phone_hash) = 32),
    external_id_hash    bytea check (length(external_id_hash) = 32),
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    primary key (tenant_id, contact_id),
    foreign key (tenant_id, queue_id) references queues (tenant_id, queue_id) on delete cascade,
    constraint contacts_phone_check check (phone ~ '^\+[1-9][0-9]{6,14}$' or (erased_at is not null and phone = '')),
    constraint contacts_requeued_is_unsent check (not requeued or status in ('pending', 'sending')),
    constraint contacts_sending_has_attempt check (status <> 'sending' or attempt_id is not null),
    constraint contacts_erasure_stops_sending check (erasure_asked_at is null or status <> 'pending'),
    constraint contacts_erased_is_not_under_way
        check (erased_at is null or (erasure_asked_at is not null and status <> 'sending')),
    constraint contacts_erased_holds_nobody
        check (erased_at is null
               or (name = '' and phone = '' and text = '' and external_id is null and due_date is null
                   and amount_cents is null and variables = '{}' and metadata = '{}'))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);
-- Indexes that are deliberately absent:
-- * by created_at: UUIDv7 ids are in the order of time, so the primary key serves ranges of created_at;
-- * by phone: it would make every batch up to a quarter slower, and debtors ask seldom (measured in docs/privacy.md);
-- * of contacts that are sent at this moment: every mark and every outcome would write all indexes of the row
--   (docs/adr/0009-an-attempt-is-written-once.md).
--
-- The claim reads contacts_requeued for contacts that are tried a second time, and contacts_of_queue from next_position
-- on for first tries. Any other `order by` in the claim costs fifteen times as much.
create index contacts_requeued on contacts (tenant_id, queue_id, due_at, contact_id) where requeued;
-- Listings of one queue, too.
create index contacts_of_queue on contacts (tenant_id, queue_id, position);
create index contacts_by_external_id on contacts (tenant_id, external_id) where external_id is not null;
-- The short reference in a text is unique within its tenant for as long as the row exists.
create unique index contacts_by_reference on contacts (tenant_id, reference);
-- No column of the next two changes while a message is sent, so marks and outcomes stay HOT updates.
create index contacts_to_erase on contacts (tenant_id, contact_id)
    where erasure_asked_at is not null and erased_at is null;
create index contacts_by_external_id_hash on contacts (tenant_id, external_id_hash) where external_id_hash is not null;
alter table contacts enable row level security, force row level security;
create policy platform on contacts to regua_platform using (true);
create policy of_all_tenants on contacts to regua_fleet using (true);
create policy of_one_tenant on contacts to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on contacts to regua_platform;
grant select, insert,
    update (external_id, name, phone, due_date, amount_cents, variables, metadata, text, status, requeued, due_at,
        resends, reason, message_id, sent_at, delivered_at, read_at, erasure_asked_at, erased_at, phone_hash,
        external_id_hash, updated_at) on contacts to regua_api;
-- Of a debtor, worker and periodic read the number and the text alone. Periodic erases other columns without reading
-- them.
grant select (tenant_id, contact_id, queue_id, position, phone, reference, text, status, requeued, due_at, attempts,
        resends, reason, attempt_id, attempt_epoch, attempt_worker, attempt_started_at, message_id, sent_at,
        delivered_at, read_at, erasure_asked_at, erased_at, created_at, updated_at),
    update (external_id, name, phone, due_date, amount_cents, variables, metadata, text, status, requeued, due_at,
        attempts, resends, reason, attempt_id, attempt_epoch, attempt_worker, attempt_started_at, message_id, sent_at,
        delivered_at, read_at, erasure_asked_at, erased_at, phone_hash, external_id_hash, updated_at) on contacts to
        regua_fleet;
