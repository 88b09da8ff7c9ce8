-- Checks one request of the subject KEYS[1]: regua_domain::Rate::take line by line, with the clock of Redis.
-- ARGV: microseconds that one request costs, requests of a burst.
-- Answers whether the request is allowed, the instant until which requests are paid for, and now.
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[1]) * tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known = tonumber(redis.call('GET', KEYS[1]) or now)
local paid_until = math.min(math.max(known, now), now + burst)
local next = paid_until + interval
if next - now > burst then
  return {0, paid_until, now}
end
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
return {1, next, now}
