-- Takes prioritized jobs and locks them, as BullMQ's moveToActive does for one (moveToActive-11.lua).
-- KEYS[1] prioritized  KEYS[2] active  KEYS[3] wait  KEYS[4] delayed  KEYS[5] meta  KEYS[6] marker
-- KEYS[7] events  KEYS[8] priority counter
-- ARGV[1] prefix of BullMQ's job keys  ARGV[2] most jobs  ARGV[3] now in ms  ARGV[4] lock token
-- ARGV[5] lock in ms  ARGV[6] payload bytes after which no more are taken
-- ARGV[7] score that a job must be below, or ''
-- Returns {left to BullMQ, next due, id, data, score, starts, attempts, stalls, id, …}: 1 first when
-- there is what only BullMQ's own command takes; then when the first delayed job is due, or 0.
local limits = redis.call('HMGET', KEYS[5], 'paused', 'concurrency', 'max')
local delayed = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
local due = delayed[2] and math.floor(tonumber(delayed[2]) / 0x1000) or 0
if limits[1] or limits[2] or limits[3] or redis.call('EXISTS', KEYS[3]) == 1
  or (delayed[2] and due <= tonumber(ARGV[3])) then
  return { 1, due }
end
local reply = { 0, due }
local ids = {}
local bytes = 0
while #ids < tonumber(ARGV[2]) and bytes < tonumber(ARGV[6]) do
  if ARGV[7] ~= '' then
    local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    if not head[2] or tonumber(head[2]) >= tonumber(ARGV[7]) then break end
  end
  local popped = redis.call('ZPOPMIN', KEYS[1])
  local id = popped[1]
  if not id then break end
  local key = ARGV[1] .. id
  local job = redis.call('HMGET', key, 'data', 'atm', 'stc')
  if job[1] then
    redis.call('SET', key .. ':lock', ARGV[4], 'PX', ARGV[5])
    redis.call('HSET', key, 'processedOn', ARGV[3])
    redis.call('XADD', KEYS[7], '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
    local starts = redis.call('HINCRBY', key, 'ats', 1)
    for _, field in ipairs({ id, job[1], popped[2], starts, job[2] or '0', job[3] or '0' }) do
      reply[#reply + 1] = field
    end
    ids[#ids + 1] = id
    bytes = bytes + #job[1]
  end
end
if #ids > 0 then redis.call('LPUSH', KEYS[2], unpack(ids)) end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('ZADD', KEYS[6], 0, '0')
else
  redis.call('DEL', KEYS[8])
end
return reply
