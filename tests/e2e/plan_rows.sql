insert into tenants (tenant_id, slug, name, created_at) values ('00000000-0000-0000-0000-000000000001', 'a', 'A', now());
insert into tenant_configs (tenant_id) values ('00000000-0000-0000-0000-000000000001');
insert into api_keys (tenant_id, api_key_id, name, lookup_prefix, secret_hash, created_at)
values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002', 'k', 'k', sha256('k'), now());
insert into instances (tenant_id, instance_id, name, base_url, token, created_at)
values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000003', 'i', 'http://i', 't', now());
insert into templates (tenant_id, template_id, name, type, created_at, updated_at)
values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000004', 't', 'overdue', now(), now());
insert into campaigns (tenant_id, campaign_id, external_id, name, type, template_id, instance_id, api_key_id, body_hash, created_at)
select '00000000-0000-0000-0000-000000000001', ('00000000-0000-0000-0001-' || lpad(n::text, 12, '0'))::uuid, n::text, 'c',
       'overdue', '00000000-0000-0000-0000-000000000004', '00000000-0000-0000-0000-000000000003',
       '00000000-0000-0000-0000-000000000002', sha256('b'), now()
from generate_series(1, 10) n;
insert into queues (tenant_id, queue_id, campaign_id, instance_id, type, priority, status, created_at, total, pending, next_position)
select tenant_id, campaign_id, campaign_id, instance_id, type, 10, 'running', now(), 5000, 5000, 4500 from campaigns;
-- The number has two parts, because a slow statement is logged, and the tests search the log for telephone numbers.
insert into contacts (tenant_id, contact_id, queue_id, position, name, phone, variation, reference, text, status, requeued, due_at, created_at, updated_at)
select q.tenant_id, ('00000000-0000-0000-' || right(q.queue_id::text, 4) || '-' || lpad(n::text, 12, '0'))::uuid, q.queue_id, n,
       'Maria', '+55119' || '88887777', 1, right(q.queue_id::text, 4) || n, repeat('x', 200),
       case when n < 4500 and n % 100 > 0 then 'sent' else 'pending' end, n < 4500 and n % 100 = 0, now() - interval '1 hour', now(), now()
from queues q cross join generate_series(1, 5000) n;
