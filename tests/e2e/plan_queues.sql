insert into campaigns (tenant_id, campaign_id, external_id, name, type, template_id, instance_id, api_key_id, body_hash, created_at)
select '00000000-0000-0000-0000-000000000001', ('00000000-0000-0000-0001-' || lpad(n::text, 12, '0'))::uuid, n::text, 'c',
       'overdue', '00000000-0000-0000-0000-000000000004', '00000000-0000-0000-0000-000000000003',
       '00000000-0000-0000-0000-000000000002', sha256('b'), now()
from generate_series(11, 310) n;
insert into queues (tenant_id, queue_id, campaign_id, instance_id, type, priority, status, created_at, total, pending)
select tenant_id, campaign_id, campaign_id, instance_id, type, 10, 'running', now(), 100, 100
from campaigns where campaign_id > '00000000-0000-0000-0001-000000000010';
