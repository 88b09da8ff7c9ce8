-- The table in which every peer records each contact's result.
create table contacts (
    id bigint primary key,
    campaign integer not null default 0,
    number text not null,
    text text not null,
    status text not null default 'pending',
    message_id text,
    sent_at timestamptz
);
