-- Deletes the reply of an event, if the event is as it was seen.
-- KEYS: the event, its reply. ARGV: deadline, the state, fencing token and owner that were seen.
-- Outcomes: 1 deleted, 0 the event is not as it was seen.
local row = redis.call('HMGET', KEYS[1], 'state', 'fencing_token', 'owner')
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, 0, now}
end
if (row[1] or '1') ~= ARGV[2] or (row[2] or '0') ~= ARGV[3] or (row[3] or '') ~= ARGV[4] then
  return {0, 0, now}
end
-- Deletes it, without a right of its own.
redis.call('PEXPIRE', KEYS[2], 0)
return {1, 0, now}
