-- KEYS: the event. ARGV: deadline, owner, fencing token, lease in ms, time to live in ms.
-- Outcomes: 1 renewed, 0 the claim is not held by this owner.
local row = redis.call('HMGET', KEYS[1], 'owner', 'fencing_token', 'state')
if row[1] ~= ARGV[2] or row[2] ~= ARGV[3] or row[3] ~= '0' then
  return {0, 0, now}
end
redis.call('HSET', KEYS[1], 'lease_until', now + ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {1, 0, now}
