-- Completes a claim and keeps its reply.
-- KEYS: the event, its reply. ARGV: deadline, owner, fencing token, retention in ms, how long the reply is kept in ms,
-- the reply.
-- Outcomes: 1 completed, 0 the claim is not held by this owner. Completing again is completed, with the new reply.
local row = redis.call('HMGET', KEYS[1], 'owner', 'fencing_token', 'state')
if row[1] ~= ARGV[2] or row[2] ~= ARGV[3] or (row[3] ~= '0' and row[3] ~= '1') then
  return {0, 0, now}
end
redis.call('HSET', KEYS[1], 'state', 1)
redis.call('HDEL', KEYS[1], 'lease_until')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
-- Not longer than its event.
local keep = math.min(tonumber(ARGV[5]), tonumber(ARGV[4]))
if keep > 0 then
  redis.call('SET', KEYS[2], ARGV[2] .. ARGV[6], 'PX', keep)
else
  -- Deletes it, without a right of its own.
  redis.call('PEXPIRE', KEYS[2], 0)
end
return {1, 0, now}
