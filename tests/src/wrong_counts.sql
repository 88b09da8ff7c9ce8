select count(*) from queues q
join (select tenant_id, queue_id, count(*) as total,
             count(*) filter (where status = 'pending') as pending,
             count(*) filter (where status = 'sending') as sending,
             count(*) filter (where status = 'sent') as sent,
             count(*) filter (where status = 'failed') as failed,
             count(*) filter (where status = 'unconfirmed') as unconfirmed,
             count(*) filter (where status = 'skipped') as skipped,
             count(*) filter (where status = 'cancelled') as cancelled
      from contacts group by tenant_id, queue_id) c using (tenant_id, queue_id)
where (q.total, q.pending, q.sending, q.sent, q.failed, q.unconfirmed, q.skipped, q.cancelled)
      <> (c.total, c.pending, c.sending, c.sent, c.failed, c.unconfirmed, c.skipped, c.cancelled)
