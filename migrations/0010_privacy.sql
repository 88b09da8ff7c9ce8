-- A debtor's data: erased when somebody asks for it or when its time is over, with the proof of sending kept
-- (docs/privacy.md).

alter table tenant_configs
    -- days after the end of its batch for which a contact keeps what says who it is
    add column personal_data_days integer not null default 365 check (personal_data_days between 1 and 36500),
    -- days after the end of a batch for which the rest of it is kept
    add column proof_days integer not null default 1826 check (proof_days between 1 and 36500),
    add constraint tenant_configs_proof_outlives_the_person check (proof_days >= personal_data_days);

alter table contacts
    -- it is to be erased, and is never sent again; done at once unless it is on its way
    add column erasure_asked_at timestamptz,
    add column erased_at timestamptz,
    -- HMAC-SHA256 with a key that the database does not have, so that a proof can be matched with a number that is shown
    add column phone_hash bytea check (length(phone_hash) = 32),
    add column external_id_hash bytea check (length(external_id_hash) = 32),
    drop constraint contacts_phone_check,
    add constraint contacts_phone_check check (phone ~ '^\+[1-9][0-9]{6,14}$' or (erased_at is not null and phone = '')),
    add constraint contacts_erasure_stops_sending check (erasure_asked_at is null or status <> 'pending'),
    add constraint contacts_erased_is_not_under_way
        check (erased_at is null or (erasure_asked_at is not null and status <> 'sending')),
    add constraint contacts_erased_holds_nobody
        check (erased_at is null
               or (name = '' and phone = '' and text = '' and external_id is null and due_date is null
                   and amount_cents is null and variables = '{}' and metadata = '{}'));
-- None of these changes while a message is sent, so marks and outcomes stay HOT updates. There is no index by phone: it would
-- cost every batch a fifth more, and a debtor asks seldom (docs/privacy.md).
create index contacts_to_erase on contacts (tenant_id, contact_id)
    where erasure_asked_at is not null and erased_at is null;
create index contacts_by_external_id_hash on contacts (tenant_id, external_id_hash) where external_id_hash is not null;

alter table queues
    -- all its contacts' data was erased because its time was over
    add column erased_at timestamptz;
create index queues_to_erase on queues (tenant_id, finished_at) where finished_at is not null and erased_at is null;
create index queues_erased on queues (tenant_id, finished_at) where finished_at is not null and erased_at is not null;

create policy of_all_tenants on campaigns to regua_fleet using (true);

grant update (name, phone, text, external_id, due_date, amount_cents, variables, metadata, erasure_asked_at, erased_at, phone_hash,
    external_id_hash) on contacts to regua_api, regua_fleet;
grant update (name, rejected, warnings, metadata) on campaigns to regua_api;
grant delete on webhook_events to regua_api;

-- Periodic writes nothing over what it may not read, and deletes what is over.
grant select (erasure_asked_at, erased_at) on contacts to regua_fleet;
grant update (erased_at) on queues to regua_fleet;
grant select (tenant_id, campaign_id), update (rejected, warnings, metadata), delete on campaigns to regua_fleet;
grant delete on dead_letters to regua_fleet;
