-- Start-time fair queuing: reserves virtual start times for work that one flow submits.
-- KEYS[1] order hash  KEYS[2] wait  KEYS[3] prioritized  KEYS[4] active  KEYS[5] delayed
-- KEYS[6] the tenant's list of job ids
-- ARGV[1] flow  ARGV[2] cost in rows / weight  ARGV[3] rows  ARGV[4] tokens (estimated)
-- ARGV[5..] ids for the list: a job that exists is always listed
-- Returns the start time of the first of these rows, in weighted rows.
local order = KEYS[1]
if redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4], KEYS[5]) == 0 then
  redis.call('DEL', order)
end
local tags = redis.call('HMGET', order, 'now', 'f:' .. ARGV[1])
local start = math.max(tonumber(tags[1] or 0), tonumber(tags[2] or 0))
redis.call('HSET', order, 'f:' .. ARGV[1], string.format('%.6f', start + tonumber(ARGV[2])))
redis.call('HINCRBY', order, 'rows', ARGV[3])
redis.call('HINCRBY', order, 'tokens', ARGV[4])
for i = 5, #ARGV do redis.call('ZADD', KEYS[6], 0, ARGV[i]) end
return string.format('%.6f', start)
