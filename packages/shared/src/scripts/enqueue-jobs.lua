-- Puts jobs of one flow into a queue, each at its virtual start time (start-time fair queuing), as
-- BullMQ's addPrioritizedJob does for one (addPrioritizedJob-9.lua). A job that is there stays.
-- KEYS[1] order hash  KEYS[2] wait  KEYS[3] prioritized  KEYS[4] active  KEYS[5] delayed
-- KEYS[6] the tenant's list of job ids: a job that exists is always listed
-- KEYS[7] marker  KEYS[8] events  KEYS[9] priority counter
-- ARGV[1] prefix of BullMQ's job keys  ARGV[2] flow  ARGV[3] options of each job, as JSON with %d
-- for the priority  ARGV[4] rows a priority stands for  ARGV[5] largest priority  ARGV[6] events kept
-- then for each job: id, payload as JSON, created in ms, cost in rows / weight, rows, tokens (estimated)
-- Returns how many jobs were added.
local FIELDS = 6
local order = KEYS[1]
if redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4], KEYS[5]) == 0 then
  redis.call('DEL', order)
end
local flow = 'f:' .. ARGV[2]
local tags = redis.call('HMGET', order, 'now', flow)
local start = math.max(tonumber(tags[1] or 0), tonumber(tags[2] or 0))
local rows, tokens, added = 0, 0, 0
for at = 7, #ARGV, FIELDS do
  local id = ARGV[at]
  local key = ARGV[1] .. id
  if redis.call('EXISTS', key) == 0 then
    local priority = math.min(tonumber(ARGV[5]), 1 + math.floor(start / tonumber(ARGV[4])))
    redis.call('HSET', key, 'name', 'infer', 'data', ARGV[at + 1],
      'opts', string.format(ARGV[3], priority), 'timestamp', ARGV[at + 2], 'delay', 0,
      'priority', priority)
    local count = redis.call('INCR', KEYS[9])
    redis.call('ZADD', KEYS[3], priority * 0x100000000 + count % 0x100000000, id)
    redis.call('ZADD', KEYS[6], 0, id)
    redis.call('XADD', KEYS[8], '*', 'event', 'added', 'jobId', id, 'name', 'infer')
    redis.call('XADD', KEYS[8], 'MAXLEN', '~', ARGV[6], '*', 'event', 'waiting', 'jobId', id)
    start = start + ARGV[at + 3]
    rows = rows + ARGV[at + 4]
    tokens = tokens + ARGV[at + 5]
    added = added + 1
  end
end
redis.call('HSET', order, flow, string.format('%.6f', start))
redis.call('HINCRBY', order, 'rows', rows)
redis.call('HINCRBY', order, 'tokens', tokens)
redis.call('ZADD', KEYS[7], 0, '0')
return added
