-- Contacts are claimed without being written to (docs/adr/0008): a lane's owner is the only one who sends for its queues, and
-- reads its next batch off the batch's own order. What was claimed and not marked when a worker dies is simply still pending.

-- What a claim walks for contacts that come a second time; those that wait for their first try are found by their position.
alter table contacts rename column claimable to requeued;
alter table contacts alter column requeued set default false;
alter index contacts_claimable rename to contacts_requeued;
alter table contacts drop column claim_epoch;
-- UUIDv7 ids are in order of time, so the primary key serves ranges of created_at; one index less for each new row.
drop index contacts_by_created_at;

alter table queues
    -- no contact below this place of the batch waits for its first try
    add column next_position integer not null default 0;

-- Rates beyond a thousand a second, for numbers that may (the official Cloud API's largest tier).
alter table tenant_configs drop constraint tenant_configs_messages_per_minute_check,
    add constraint tenant_configs_messages_per_minute_check check (messages_per_minute between 1 and 6000000);
alter table instances drop constraint instances_messages_per_minute_check,
    add constraint instances_messages_per_minute_check check (messages_per_minute between 1 and 6000000);
