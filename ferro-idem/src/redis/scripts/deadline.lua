-- Every script begins with these lines. ARGV[1] is the deadline of the call, in milliseconds on this server's clock.
-- Every script returns {outcome, number, now}. The outcome -1 means that nothing was done, because the deadline has passed.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now >= tonumber(ARGV[1]) then
  return {-1, 0, now}
end
