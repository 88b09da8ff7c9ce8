-- A contact's debtor, bill and text are written once, and an instance that its gateway has accepted excludes those of
-- other tenants.

set local lock_timeout = '2s';

-- Whether the gateway has accepted the present address and token, and since when. Null: an unverified instance, which
-- does not keep another tenant from adding the same number.
alter table instances add column verified_at timestamptz;
grant update (verified_at) on instances to regua_api;
grant select (verified_at), update (verified_at) on instances to regua_fleet;
-- A gateway answers with these states only after it has accepted the token. The table is small.
update instances set verified_at = coalesce(state_checked_at, created_at) where state in ('open', 'connecting', 'close');

-- Periodic needs the right to change these columns, because it erases contacts. The only change for any role is an
-- erasure: `contacts_erased_holds_nobody` says to which values. Marks and outcomes change none of these columns, so they
-- do not call the trigger.
create function contacts_are_written_once() returns trigger language plpgsql as $$
begin
    raise check_violation using message = 'the debtor, the bill and the text of a contact change only when they are erased';
end $$;
create trigger contacts_are_written_once
    before update of name, phone, text, external_id, due_date, amount_cents, variables, metadata on contacts
    for each row when (new.erased_at is null) execute function contacts_are_written_once();
