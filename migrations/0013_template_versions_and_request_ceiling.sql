-- The earlier texts of templates, which the audit log no longer holds, and the ceiling that the platform sets for the
-- request rates of a tenant.

set local lock_timeout = '2s';

-- A row for each text that a change replaced, so a template without changes has none. An entry of the audit log has the
-- hash of a long text: it can be matched with the text here, or in `templates`, for as long as that is stored.
create table template_versions (
    tenant_id         uuid not null,
    template_id       uuid not null,
    version           integer not null check (version > 0),
    variations        text[] not null check (cardinality(variations) between 1 and 5),
    variables_schema  jsonb,
    written_at        timestamptz not null,
    replaced_at       timestamptz not null,
    primary key (tenant_id, template_id, version),
    foreign key (tenant_id, template_id) references templates (tenant_id, template_id) on delete cascade
);
-- Retention.
create index template_versions_by_replaced_at on template_versions (replaced_at);
alter table template_versions enable row level security, force row level security;
create policy platform on template_versions to regua_platform using (true);
create policy of_all_tenants on template_versions to regua_fleet using (true);
create policy of_one_tenant on template_versions to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on template_versions to regua_platform;
grant select, insert, delete on template_versions to regua_api;
-- Periodic deletes old versions without reading them.
grant select (tenant_id, template_id, version, replaced_at), delete on template_versions to regua_fleet;

-- No API key of the tenant has a higher rate, whatever its owners set. Programs of the version before do not read it.
alter table tenants add column max_requests_per_minute integer not null default 6000
    constraint tenants_max_requests_check check (max_requests_per_minute between 1 and 6000000);
grant update (max_requests_per_minute) on tenants to regua_api;
create function only_the_platform_sets_ceilings() returns trigger language plpgsql as $$
begin
    if not pg_has_role(current_user, 'regua_platform', 'usage')
        and coalesce(current_setting('regua.platform', true), '') <> 'on' then
        raise insufficient_privilege using message = 'only a user of the platform sets the ceilings of a tenant';
    end if;
    return new;
end $$;
create trigger only_the_platform_sets_ceilings before update of max_requests_per_minute on tenants
    for each row execute function only_the_platform_sets_ceilings();
