-- KEYS: the event. ARGV: owner, type, retention in ms. Answers 1: first, 0: seen before.
-- Whatever hash is there counts as seen, except the one that this very call made.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.call('HGET', KEYS[1], 'owner') == ARGV[1] and 1 or 0
end
redis.call('HSET', KEYS[1], 'state', 1, 'owner', ARGV[1], 'fencing_token', 0, 'type', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
