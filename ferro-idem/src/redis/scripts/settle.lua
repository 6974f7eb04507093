-- KEYS: the event. ARGV: owner, fencing token, the state to settle in, retention in ms.
-- Answers 1: settled, 0: not this one's. What this claim settled so before is settled.
local row = redis.call('HMGET', KEYS[1], 'owner', 'fencing_token', 'state')
if row[1] ~= ARGV[1] or row[2] ~= ARGV[2] or (row[3] ~= '0' and row[3] ~= ARGV[3]) then
  return 0
end
redis.call('HSET', KEYS[1], 'state', ARGV[3])
redis.call('HDEL', KEYS[1], 'lease_until')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
