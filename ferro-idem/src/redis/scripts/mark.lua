-- KEYS: the event. ARGV: deadline, owner, type, retention in ms.
-- Outcomes: 1 first, 0 seen before.
-- Any hash counts as seen, except the one that this very call made.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {redis.call('HGET', KEYS[1], 'owner') == ARGV[2] and 1 or 0, 0, now}
end
redis.call('HSET', KEYS[1], 'state', 1, 'owner', ARGV[2], 'fencing_token', 0, 'type', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {1, 0, now}
