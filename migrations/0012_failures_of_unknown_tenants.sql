-- A login of an unknown tenant is counted like that of a tenant, under an id made of the slug. So the answers to logins do
-- not tell which tenants exist, in any number of processes.
--
-- The rows refer to no tenant. Like all failed logins they are deleted after a day.
set local lock_timeout = '2s';

alter table login_failures drop constraint login_failures_tenant_id_fkey;
