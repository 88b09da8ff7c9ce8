-- The fleet's tables.
--
-- Every primary key begins with tenant_id and every foreign key carries it, so a row cannot point at another tenant's.
-- Instants come in two kinds. Business time (due_at, scheduled_for, resume_at, next_send_at, …) is written by the
-- programs from their clock, which tests can set. Lease time is PostgreSQL's own now(), one clock for all machines.

create table tenants (
    tenant_id   uuid primary key,
    slug        text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name        text not null check (length(name) between 1 and 200),
    status      text not null default 'active' check (status in ('active', 'suspended')),
    created_at  timestamptz not null
);

-- Throttle, hours and limits of a tenant: the seed's BillingConfig.
create table tenant_configs (
    tenant_id            uuid primary key references tenants (tenant_id) on delete cascade,
    time_zone            text not null default 'America/Sao_Paulo',
    -- false: sends at every hour of every day, whatever the hours below say
    keeps_hours          boolean not null default true,
    -- Brazil's national holidays count as closed days
    national_holidays    boolean not null default true,
    messages_per_minute  integer not null default 20 check (messages_per_minute between 1 and 60000),
    jitter_percent       smallint not null default 20 check (jitter_percent between 0 and 50),
    daily_cap            integer check (daily_cap > 0),
    max_attempts         smallint not null default 5 check (max_attempts between 1 and 20)
);

create table business_hours (
    tenant_id      uuid not null references tenants (tenant_id) on delete cascade,
    weekday        smallint not null check (weekday between 1 and 7),
    opens_minute   smallint not null check (opens_minute between 0 and 1439),
    closes_minute  smallint not null check (closes_minute between 1 and 1440),
    primary key (tenant_id, weekday, opens_minute),
    check (opens_minute < closes_minute)
);
comment on column business_hours.weekday is 'ISO: 1 is Monday';
comment on column business_hours.opens_minute is 'minutes after local midnight, first open one';
comment on column business_hours.closes_minute is 'minutes after local midnight, first closed one';

create table holidays (
    tenant_id  uuid not null references tenants (tenant_id) on delete cascade,
    day        date not null,
    name       text not null,
    primary key (tenant_id, day)
);

create table api_keys (
    tenant_id         uuid not null references tenants (tenant_id) on delete cascade,
    api_key_id        uuid not null,
    name              text not null,
    lookup_prefix     text not null,
    secret_hash       bytea not null check (length(secret_hash) = 32),
    allowed_types     text[] not null default '{overdue,upcoming,notification}'
                      check (allowed_types <@ '{overdue,upcoming,notification}'::text[] and cardinality(allowed_types) > 0),
    allowed_networks  cidr[] not null default '{}',
    active            boolean not null default true,
    expires_at        timestamptz,
    last_used_at      timestamptz,
    created_at        timestamptz not null,
    primary key (tenant_id, api_key_id)
);
-- The one look-up that cannot carry a tenant: it is what finds the tenant.
create unique index api_keys_by_prefix on api_keys (lookup_prefix);

create table instances (
    tenant_id            uuid not null references tenants (tenant_id) on delete cascade,
    instance_id          uuid not null,
    name                 text not null check (name ~ '^[A-Za-z0-9._-]{1,64}$'),
    base_url             text not null,
    token                text not null,
    -- null: the tenant's own
    messages_per_minute  integer check (messages_per_minute between 1 and 60000),
    daily_cap            integer check (daily_cap > 0),
    -- sends of this number that may be on their way at once; above 1 only for numbers that may send fast
    lane_concurrency     smallint not null default 1 check (lane_concurrency between 1 and 256),
    state                text not null default 'unknown' check (state in ('unknown', 'open', 'connecting', 'close', 'unreachable')),
    state_reason         text,
    state_checked_at     timestamptz,
    -- while the instance is down: when to look again
    next_check_at        timestamptz,
    created_at           timestamptz not null,
    primary key (tenant_id, instance_id),
    unique (tenant_id, name)
);
create index instances_to_check on instances (next_check_at) where next_check_at is not null;

-- The stream of sends of one instance, and who holds it. Apart from instances because it is rewritten at every heartbeat.
create table lanes (
    tenant_id         uuid not null,
    instance_id       uuid not null,
    leased_by         text,
    -- grows with every change of owner; a write that carries an older one is void (the fence)
    lease_epoch       bigint not null default 0,
    lease_expires_at  timestamptz,
    last_heartbeat    timestamptz,
    -- grows when somebody rings while the lane is held, so that its owner looks once more before it lets go
    bell              bigint not null default 0,
    -- when periodic last rang for it, so that doorbells do not pile up while no worker runs
    rung_at           timestamptz,
    next_send_at      timestamptz,
    sent_on           date,
    sent_that_day     integer not null default 0,
    primary key (tenant_id, instance_id),
    foreign key (tenant_id, instance_id) references instances (tenant_id, instance_id) on delete cascade,
    check ((leased_by is null) = (lease_expires_at is null))
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
-- Who is processing what (the seed's processing_by), and the leases that ran out. lease_expires_at stays out of every
-- index, so that a heartbeat is a HOT update.
create index lanes_by_owner on lanes (leased_by) where leased_by is not null;

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

create table template_variations (
    tenant_id    uuid not null,
    template_id  uuid not null,
    variation    smallint not null check (variation between 1 and 5),
    source       text not null check (length(source) between 1 and 4096),
    primary key (tenant_id, template_id, variation),
    foreign key (tenant_id, template_id) references templates (tenant_id, template_id) on delete cascade
);

-- What a batch that names no template or no instance is sent with.
create table type_defaults (
    tenant_id    uuid not null references tenants (tenant_id) on delete cascade,
    type         text not null check (type in ('overdue', 'upcoming', 'notification')),
    template_id  uuid,
    instance_id  uuid,
    primary key (tenant_id, type),
    foreign key (tenant_id, template_id) references templates (tenant_id, template_id),
    foreign key (tenant_id, instance_id) references instances (tenant_id, instance_id)
);

create table campaigns (
    tenant_id      uuid not null references tenants (tenant_id),
    campaign_id    uuid not null,
    external_id    text not null check (length(external_id) between 1 and 200),
    name           text not null,
    type           text not null check (type in ('overdue', 'upcoming', 'notification')),
    template_id    uuid not null,
    instance_id    uuid not null,
    api_key_id     uuid not null,
    -- SHA-256 of the batch as it was understood: the replay guard compares it
    body_hash      bytea not null check (length(body_hash) = 32),
    -- what was refused and what was remarked on, so that a replay answers as the first call did
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

-- The progress and the controls of one campaign. processing_by and last_heartbeat of the API are its lane's.
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
    -- Row counts, kept with every change of a contact and rebuilt by `regua doctor`.
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
-- What a lane may claim from, best first.
create index queues_of_instance on queues (tenant_id, instance_id, priority desc, created_at)
    where status in ('pending', 'running');
-- What periodic wakes: scheduled batches, and queues that wait for an hour.
create index queues_by_scheduled_for on queues (status, scheduled_for) where status = 'scheduled';
create index queues_by_resume_at on queues (status, resume_at) where resume_at is not null;
-- What is not finished, for recovery and for the gauge of active queues.
create index queues_unfinished on queues (tenant_id, instance_id, status)
    where status not in ('completed', 'cancelled', 'failed');

create table contacts (
    tenant_id      uuid not null,
    contact_id     uuid not null,
    queue_id       uuid not null,
    -- place in the accepted batch, from 0
    position       integer not null,
    external_id    text,
    name           text not null,
    phone          text not null check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    due_date       date,
    amount_cents   bigint check (amount_cents > 0),
    variables      jsonb not null default '{}',
    metadata       jsonb not null default '{}',
    variation      smallint not null check (variation between 1 and 5),
    reference      text not null,
    text           text not null,
    status         text not null default 'pending' check (status in ('pending', 'sending', 'sent', 'failed',
                       'unconfirmed', 'skipped', 'cancelled')),
    -- Waits in no worker's hands. With due_at it decides the claim, and it changes at the claim alone: status stands in
    -- no index and in no predicate, so that marks and outcomes are HOT updates.
    claimable      boolean not null default true,
    due_at         timestamptz not null,
    claim_epoch    bigint,
    attempts       smallint not null default 0,
    -- the rule or the gateway's reason behind the last change
    reason         text,
    message_id     text,
    sent_at        timestamptz,
    delivered_at   timestamptz,
    read_at        timestamptz,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    primary key (tenant_id, contact_id),
    foreign key (tenant_id, queue_id) references queues (tenant_id, queue_id) on delete cascade,
    check (not claimable or status = 'pending')
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);
-- The claim's only order. Any other `order by` in the claim costs fifteen times as much.
create index contacts_claimable on contacts (tenant_id, queue_id, due_at, contact_id) where claimable;
-- Listings of one queue.
create index contacts_of_queue on contacts (tenant_id, queue_id, position);
create index contacts_by_external_id on contacts (tenant_id, external_id) where external_id is not null;
create index contacts_by_created_at on contacts (tenant_id, created_at);

-- One row for each try, written before the try.
create table attempts (
    tenant_id    uuid not null,
    attempt_id   uuid not null,
    contact_id   uuid not null,
    instance_id  uuid not null,
    number       smallint not null check (number > 0),
    reference    text not null,
    lease_epoch  bigint not null,
    worker       text not null,
    started_at   timestamptz not null,
    finished_at  timestamptz,
    outcome      text check (outcome in ('sent', 'not_sent', 'refused', 'unknown')),
    reason       text,
    message_id   text,
    primary key (tenant_id, attempt_id),
    foreign key (tenant_id, contact_id) references contacts (tenant_id, contact_id) on delete cascade,
    check ((outcome is null) = (finished_at is null))
) with (fillfactor = 90);
create unique index attempts_of_contact on attempts (tenant_id, contact_id, number);
-- What a lane's next owner finds open.
create index attempts_open on attempts (tenant_id, instance_id) where finished_at is null;

-- Doorbells that wait to be published (or, with the embedded broker, to be heard). One row for one doorbell: ringing
-- twice before it is heard is ringing once, and `revision` tells that somebody rang again meanwhile.
create table outbox (
    tenant_id    uuid not null,
    outbox_id    uuid not null,
    routing_key  text not null,
    priority     smallint not null,
    body         jsonb not null,
    revision     bigint not null default 1,
    -- in somebody's hands until then
    visible_at   timestamptz not null default now(),
    created_at   timestamptz not null default now(),
    primary key (tenant_id, outbox_id),
    unique (tenant_id, routing_key, body)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create index outbox_waiting on outbox (routing_key, priority desc, visible_at);

-- Messages that the embedded broker could not read: RabbitMQ's billing.dead.
create table dead_letters (
    tenant_id       uuid not null,
    dead_letter_id  uuid not null,
    routing_key     text not null,
    body            jsonb not null,
    reason          text not null,
    died_at         timestamptz not null default now(),
    primary key (tenant_id, dead_letter_id)
);

