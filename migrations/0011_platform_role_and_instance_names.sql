-- Who may give the role platform is decided by membership of a database role, and a number is looked up among all
-- tenants by its name.

set local lock_timeout = '2s';

-- A request gives the role platform only when its transaction acts for a user of the platform. Before, the check
-- compared the name of the current role, so it did not hold for a login that is a member of regua_api and has not taken
-- that role.
create or replace function only_the_platform_makes_its_own() returns trigger language plpgsql as $$
begin
    if not pg_has_role(current_user, 'regua_platform', 'usage')
        and coalesce(current_setting('regua.platform', true), '') <> 'on' then
        raise insufficient_privilege using message = 'only a user of the platform gives the role platform';
    end if;
    return new;
end $$;

-- A number belongs to one tenant: before a number is added, the servers of all numbers of its name are looked up. The
-- program compares the servers, because many URLs name one server. Programs of the version before use by_number.
create policy by_name on instances for select to regua_api
    using (name = (select nullif(current_setting('regua.instance_name', true), '')));
