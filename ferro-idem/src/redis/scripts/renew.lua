-- KEYS: the event. ARGV: owner, fencing token, lease in ms, time to live in ms. Answers 1: renewed, 0: not this one's.
local row = redis.call('HMGET', KEYS[1], 'owner', 'fencing_token', 'state')
if row[1] ~= ARGV[1] or row[2] ~= ARGV[2] or row[3] ~= '0' then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'lease_until', now + ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
