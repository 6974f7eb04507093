-- Changes an event by hand, if it is as it was seen.
-- KEYS: the event, its reply, which is deleted. ARGV: deadline, the state, fencing token and owner that were seen, the new owner, the new state
-- (-1: delete it), retention in ms.
-- Outcomes: 1 changed, 0 it is not as it was seen.
local row = redis.call('HMGET', KEYS[1], 'state', 'fencing_token', 'owner')
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, 0, now}
end
local state, token, owner = row[1] or '1', row[2] or '0', row[3] or ''
if owner == ARGV[5] then
  -- An earlier attempt of this call did it.
  return {1, 0, now}
end
if state ~= ARGV[2] or token ~= ARGV[3] or owner ~= ARGV[4] then
  return {0, 0, now}
end
redis.call('PEXPIRE', KEYS[2], 0)
if ARGV[6] == '-1' then
  -- Deletes it, without a right of its own.
  redis.call('PEXPIRE', KEYS[1], 0)
  return {1, 0, now}
end
redis.call('HSET', KEYS[1], 'state', ARGV[6], 'owner', ARGV[5], 'fencing_token', token)
redis.call('HDEL', KEYS[1], 'lease_until')
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {1, 0, now}
