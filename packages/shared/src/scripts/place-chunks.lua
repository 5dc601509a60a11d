-- Gives chunks of one flow their places in the order of work (start-time fair queuing).
-- KEYS[1] order hash  KEYS[2] wait  KEYS[3] prioritized  KEYS[4] active  KEYS[5] delayed
-- ARGV[1] flow  ARGV[2] rank of its class, from 0  ARGV[3] classes  ARGV[4] rows that a step stands for
-- ARGV[5] largest priority  then for each chunk its cost in rows / weight
-- Returns BullMQ's priority of each: by steps of virtual time, and in one step by class.
local order = KEYS[1]
if redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4], KEYS[5]) == 0 then
  redis.call('DEL', order)
end
local classes, step = tonumber(ARGV[3]), tonumber(ARGV[4])
local flow = 'f:' .. ARGV[1]
local state = redis.call('HMGET', order, 'now', flow)
local now = tonumber(state[1] or 0)
-- Whoever is next in the queue tells how far virtual time has come.
local head = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
if head[2] then
  local priority = math.floor(head[2] / 0x100000000)
  now = math.max(now, math.floor((priority - 1) / classes) * step)
end
local start = math.max(now, tonumber(state[2] or 0))
local priorities = {}
for at = 6, #ARGV do
  local priority = 1 + classes * math.floor(start / step) + ARGV[2]
  priorities[#priorities + 1] = math.min(tonumber(ARGV[5]), priority)
  start = start + ARGV[at]
end
redis.call('HSET', order, 'now', string.format('%.6f', now), flow, string.format('%.6f', start))
return priorities
