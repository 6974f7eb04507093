-- Takes back a claim under which no body ran: its token is given back, and nobody is its owner.
-- KEYS: the event. ARGV: deadline, owner, fencing token, retention in ms.
-- Outcomes: 1 taken back, 0 the claim is not held by this owner.
local row = redis.call('HMGET', KEYS[1], 'owner', 'fencing_token', 'state')
if row[1] ~= ARGV[2] or row[2] ~= ARGV[3] or row[3] ~= '0' then
  return {0, 0, now}
end
redis.call('HSET', KEYS[1], 'state', 2, 'owner', '', 'fencing_token', row[2] - 1)
redis.call('HDEL', KEYS[1], 'lease_until')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {1, 0, now}
