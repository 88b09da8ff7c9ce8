explain with picked as materialized (
    select c.contact_id
    from unnest(array['00000000-0000-0000-0001-000000000003'::uuid], array[100]) as u (queue_id, quota)
    join queues q on q.tenant_id = '00000000-0000-0000-0000-000000000001' and q.queue_id = u.queue_id and q.status in ('pending', 'running')
    cross join lateral (
        select c.contact_id from contacts c
        where c.tenant_id = '00000000-0000-0000-0000-000000000001' and c.queue_id = u.queue_id and c.claimable and c.due_at <= now()
        order by c.due_at, c.contact_id
        limit u.quota
        for update skip locked
    ) c
)
update contacts c set claimable = false, claim_epoch = 1
from picked p where c.tenant_id = '00000000-0000-0000-0000-000000000001' and c.contact_id = p.contact_id
