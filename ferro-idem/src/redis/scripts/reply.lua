-- Reads the reply of a processed event. KEYS: the event, its reply.
-- A reply begins with the owner of its completion. That of another completion is not returned.
local row = redis.call('HMGET', KEYS[1], 'state', 'owner')
if row[1] ~= '1' or not row[2] then
  return false
end
local kept = redis.call('GET', KEYS[2])
if not kept or string.sub(kept, 1, 16) ~= row[2] then
  return false
end
return string.sub(kept, 17)
