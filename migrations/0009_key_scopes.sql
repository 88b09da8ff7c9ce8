-- Scopes of API keys. A key from before has the scopes of what every key could do.
set local lock_timeout = '2s';

alter table api_keys
    add column scopes text[] not null default '{send,control,read}'
        check (scopes <@ '{send,control,read}'::text[] and cardinality(scopes) > 0);
grant update (scopes) on api_keys to regua_api;
