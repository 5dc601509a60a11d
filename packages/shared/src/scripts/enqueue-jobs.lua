-- Puts jobs of one flow into a queue, each at its virtual start time (start-time fair queuing), as
-- BullMQ's addPrioritizedJob does for one (addPrioritizedJob-9.lua). A job that is there stays.
-- What limits a caller is asked and charged in the same step, so that no race gets past it.
-- KEYS[1] order hash  KEYS[2] wait  KEYS[3] prioritized  KEYS[4] active  KEYS[5] delayed
-- KEYS[6] the tenant's list of job ids: a job that exists is always listed
-- KEYS[7] marker  KEYS[8] events
-- KEYS[9] rate limit of the caller's key  KEYS[10] Idempotency-Key; both only read where they are set
-- ARGV[1] prefix of BullMQ's job keys  ARGV[2] tenant  ARGV[3] priority class  ARGV[4] options of
-- each job, as JSON with %d for the priority  ARGV[5] rows a priority stands for
-- ARGV[6] largest priority  ARGV[7] events kept
-- ARGV[8] most rows of the tenant that wait or run, or ''
-- ARGV[9] microseconds that a row costs of the rate, or ''  ARGV[10] rows of a burst
-- ARGV[11] '', or what to keep of the Idempotency-Key, then of one job only  ARGV[12] for how many ms
-- then for each job: id, payload as JSON, created in ms, cost in rows / weight, rows, tokens (estimated)
-- Returns for each job '+' when it was added, '=' when it was there, 't' and the rows that the tenant
-- has when it may have no more, 'r' and in how many ms when the rate allows it, 'i' and what was kept
-- of the key when a job has been stored under it.
local FIELDS = 6
local order = KEYS[1]
if redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4], KEYS[5]) == 0 then
  redis.call('DEL', order)
end
local flow = 'f:' .. ARGV[2] .. ':' .. ARGV[3]
local tenant = 't:' .. ARGV[2]
local state = redis.call('HMGET', order, 'now', flow, tenant)
local start = math.max(tonumber(state[1] or 0), tonumber(state[2] or 0))
local held = tonumber(state[3] or 0)
local rows, tokens, added = 0, 0, 0

-- Generic cell rate algorithm: the key's state is the time at which its burst would be whole again.
local function delayOf(count)
  if ARGV[9] == '' then return 0 end
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local whole = math.max(now, tonumber(redis.call('GET', KEYS[9]) or 0)) + count * ARGV[9]
  local early = whole - ARGV[10] * ARGV[9] - now
  if early > 0 then return math.ceil(early / 1000) end
  redis.call('SET', KEYS[9], string.format('%.3f', whole), 'PX', math.ceil((whole - now) / 1000))
  return 0
end

local function add(at)
  local id = ARGV[at]
  local key = ARGV[1] .. id
  if redis.call('EXISTS', key) == 1 then return '=' end
  if ARGV[11] ~= '' then
    local kept = redis.call('GET', KEYS[10])
    if kept then return 'i' .. kept end
  end
  local count = tonumber(ARGV[at + 4])
  if ARGV[8] ~= '' and held + rows + count > tonumber(ARGV[8]) then return 't' .. held + rows end
  local delay = delayOf(count)
  if delay > 0 then return 'r' .. delay end
  local priority = math.min(tonumber(ARGV[6]), 1 + start / ARGV[5])
  local score = string.format('%.0f', math.floor(priority * 0x100000000))
  priority = math.floor(priority)
  redis.call('HSET', key, 'name', 'infer', 'data', ARGV[at + 1],
    'opts', string.format(ARGV[4], priority), 'timestamp', ARGV[at + 2], 'delay', 0,
    'priority', priority)
  redis.call('ZADD', KEYS[3], score, id)
  redis.call('ZADD', KEYS[6], 0, id)
  redis.call('XADD', KEYS[8], '*', 'event', 'added', 'jobId', id, 'name', 'infer')
  redis.call('XADD', KEYS[8], 'MAXLEN', '~', ARGV[7], '*', 'event', 'waiting', 'jobId', id)
  if ARGV[11] ~= '' then redis.call('SET', KEYS[10], ARGV[11], 'PX', ARGV[12]) end
  start = start + ARGV[at + 3]
  rows = rows + count
  tokens = tokens + ARGV[at + 5]
  added = added + 1
  return '+'
end

local replies = {}
for at = 13, #ARGV, FIELDS do replies[#replies + 1] = add(at) end
if added > 0 then
  redis.call('HSET', order, flow, string.format('%.6f', start), tenant, held + rows)
  redis.call('HINCRBY', order, 'rows', rows)
  redis.call('HINCRBY', order, 'tokens', tokens)
  redis.call('ZADD', KEYS[7], 0, '0')
end
return replies
