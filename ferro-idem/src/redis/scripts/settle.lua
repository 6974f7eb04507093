-- KEYS: the event. ARGV: deadline, owner, fencing token, the state to settle in, retention in ms.
-- Outcomes: 1 settled, 0 the claim is not held by this owner. Settling in the same state again is settled.
local row = redis.call('HMGET', KEYS[1], 'owner', 'fencing_token', 'state')
if row[1] ~= ARGV[2] or row[2] ~= ARGV[3] or (row[3] ~= '0' and row[3] ~= ARGV[4]) then
  return {0, 0, now}
end
redis.call('HSET', KEYS[1], 'state', ARGV[4])
redis.call('HDEL', KEYS[1], 'lease_until')
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {1, 0, now}
