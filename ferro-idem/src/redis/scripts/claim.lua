-- KEYS: the event. ARGV: deadline, owner, type, lease in ms, time to live in ms (never less than the lease).
-- Outcomes: 0 acquired, with the fencing token; 1 another claim is live, with the ms that it has left; 2 processed;
-- 3 the same owner held it already, with the fencing token.
local outcome, token, lease_until = 0, 1, now + ARGV[4]
if redis.call('EXISTS', KEYS[1]) == 1 then
  local row = redis.call('HMGET', KEYS[1], 'state', 'owner', 'fencing_token', 'lease_until')
  local state, owner = row[1] or '1', row[2]
  local left = (tonumber(row[4]) or 0) - now
  if state == '1' then
    return {2, 0, now}
  elseif state == '0' and left > 0 and owner ~= ARGV[2] then
    -- The claim may end a millisecond after its lease, as below. The time to wait is never longer than the lease.
    return {1, math.max(left - 1, 1), now}
  elseif state == '0' and left > 0 then
    outcome = 3
    if lease_until == tonumber(row[4]) then
      -- In the same millisecond. It ends later, so that taking the claim before back spares this one.
      lease_until = lease_until + 1
    end
  end
  -- The token grows when the owner changes, and only then.
  token = (tonumber(row[3]) or 0) + (owner == ARGV[2] and 0 or 1)
end
redis.call('HSET', KEYS[1], 'state', 0, 'owner', ARGV[2], 'fencing_token', token, 'lease_until', lease_until)
redis.call('HSETNX', KEYS[1], 'type', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {outcome, token, now}
