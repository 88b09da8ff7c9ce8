-- How many requests a minute an API key may make: its own rate, else its tenant's.
alter table tenant_configs
    add column requests_per_minute integer not null default 1200
        check (requests_per_minute between 1 and 6000000);

-- null: the tenant's
alter table api_keys
    add column requests_per_minute integer check (requests_per_minute between 1 and 6000000);
