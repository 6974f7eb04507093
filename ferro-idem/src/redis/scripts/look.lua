-- Reads one event. KEYS: the event, its reply.
-- Returns {0} if there is none, {2} if the key is not a hash, and otherwise
-- {1, state, owner, fencing token, ms that the lease has left, type, time to live in ms, that of its reply}.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then
  return {0}
elseif kind ~= 'hash' then
  return {2}
end
local row = redis.call('HMGET', KEYS[1], 'state', 'owner', 'fencing_token', 'lease_until', 'type')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {1, tonumber(row[1]) or 1, row[2] or '', tonumber(row[3]) or 0, (tonumber(row[4]) or 0) - now, row[5] or '',
  redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[2])}
