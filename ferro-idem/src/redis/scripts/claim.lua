-- KEYS: the event. ARGV: owner, type, lease in ms, time to live in ms (never less than the lease).
-- Answers {0, fencing token}: acquired, {1, ms left}: another claim is live, {2, 0}: processed.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local token = 1
if redis.call('EXISTS', KEYS[1]) == 1 then
  local row = redis.call('HMGET', KEYS[1], 'state', 'owner', 'fencing_token', 'lease_until')
  local state, owner = row[1] or '1', row[2]
  local left = (tonumber(row[4]) or 0) - now
  if state == '1' then
    return {2, 0}
  elseif state == '0' and left > 0 and owner ~= ARGV[1] then
    return {1, left}
  end
  -- The token grows when the owner changes, and only then.
  token = (tonumber(row[3]) or 0) + (owner == ARGV[1] and 0 or 1)
end
redis.call('HSET', KEYS[1], 'state', 0, 'owner', ARGV[1], 'fencing_token', token, 'lease_until', now + ARGV[3])
redis.call('HSETNX', KEYS[1], 'type', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {0, token}
