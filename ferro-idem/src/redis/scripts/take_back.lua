-- Takes back what a call made whose caller does not know of it: a mark is deleted, a claim is released.
-- KEYS: the event. ARGV: the deadline of that call, its owner, its lease in ms (-1: it was a mark).
-- Outcomes: 1 the deadline of the call has passed, so that it cannot be carried out later; 0 it still can, ask again.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline, lease = tonumber(ARGV[1]), tonumber(ARGV[3])
local row = redis.call('HMGET', KEYS[1], 'owner', 'fencing_token', 'state', 'lease_until')
if row[1] == ARGV[2] then
  if lease < 0 then
    if row[2] == '0' and row[3] == '1' then
      -- Deletes it, without a right of its own.
      redis.call('PEXPIRE', KEYS[1], 0)
    end
  elseif row[3] == '0' and now >= deadline and (tonumber(row[4]) or 0) < deadline + lease then
    -- A claim that ends later was made by a later call of the same owner.
    -- No body ran under it, so its token is given back. Nobody is its owner.
    redis.call('HSET', KEYS[1], 'state', 2, 'owner', '', 'fencing_token', (tonumber(row[2]) or 1) - 1)
    redis.call('HDEL', KEYS[1], 'lease_until')
  end
end
return {now >= deadline and 1 or 0, 0, now}
