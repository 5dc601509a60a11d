-- Takes back what a job that left the queue without a run has moved its flow on.
-- KEYS[1] order hash
-- ARGV[1] flow  ARGV[2] cost of the job
local flow = 'f:' .. ARGV[1]
local state = redis.call('HMGET', KEYS[1], 'now', flow)
if not state[2] then return 0 end
local finish = math.max(tonumber(state[1] or 0), state[2] - ARGV[2])
redis.call('HSET', KEYS[1], flow, string.format('%.6f', finish))
return 1
