-- A hash chain over the customers' audit log, and the eighth incident: somebody changes a row that has been sealed.
SELECT raxx_detect.chain_attach('customer_audit_events');
CALL raxx_detect.chain_seal_backlog('customer_audit_events');

-- 8. Two days ago an operator looked at an account; now it was somebody else.
--    -> data_audit_log_hash_chain_break, CRITICAL
UPDATE customer_audit_events SET operator = 'nobody'
WHERE id = (SELECT id FROM customer_audit_events WHERE created_at < now() - interval '2 days' ORDER BY created_at DESC LIMIT 1);
