-- Writes finished records, and has BullMQ forget the jobs that the caller holds, in one step; the
-- latter as moveToFinished does where a finished job is not kept (moveToFinished-14.lua).
-- The first terminal state of a job wins, a later one is refused.
-- KEYS[1] order hash  KEYS[2] active  KEYS[3] stalled  KEYS[4] events  KEYS[5..] record keys
-- ARGV[1] channel  ARGV[2] virtual time reached, or ''  ARGV[3] prefix of BullMQ's job keys
-- then for each record: id, JSON or '' for none, TTL in ms, rows, tokens, lock token or '' if not held,
-- tenant
-- then for each record that calls back when it is written: its place among the records from 1, bytes
-- before the job in its JSON, key of the delivery, the tenant's list of them, prefix of BullMQ's keys
-- of their queue, timestamp in ISO 8601, and fields of the delivery: id, message, tenant, url, type,
-- of, created_ms, ttl_ms, traceparent or ''
-- Returns 1 for each record that was written, 0 for each that was refused or is none.
-- @include add-delivery
local FIELDS = 7
local CALLBACK_FIELDS = 15
local written = {}
local ids = {}
local last = ''
local rows, tokens = 0, 0
local tenants = {}
local freed = {}

local function forget(id, token)
  local job = ARGV[3] .. id
  if redis.call('GET', job .. ':lock') ~= token then return end
  if redis.call('LREM', KEYS[2], -1, id) == 0 then return end
  redis.call('DEL', job .. ':lock', job, job .. ':logs', job .. ':dependencies', job .. ':processed',
    job .. ':failed', job .. ':unsuccessful')
  redis.call('XADD', KEYS[4], '*', 'event', 'completed', 'jobId', id, 'returnvalue', 'null',
    'prev', 'active')
  freed[#freed + 1] = id
end

for i = 5, #KEYS do
  local at = 4 + (i - 5) * FIELDS
  local id, json, token = ARGV[at], ARGV[at + 1], ARGV[at + 5]
  written[i - 4] = 0
  if json ~= '' and redis.call('SET', KEYS[i], json, 'PX', ARGV[at + 2], 'NX') then
    written[i - 4] = 1
    ids[#ids + 1] = id
    last = json
    rows = rows + ARGV[at + 3]
    tokens = tokens + ARGV[at + 4]
    local tenant = 't:' .. ARGV[at + 6]
    tenants[tenant] = (tenants[tenant] or 0) + ARGV[at + 3]
  end
  if token ~= '' then forget(id, token) end
end
for at = 4 + (#KEYS - 4) * FIELDS, #ARGV, CALLBACK_FIELDS do
  local place = tonumber(ARGV[at])
  if written[place] == 1 then
    local json = ARGV[4 + (place - 1) * FIELDS + 1]
    local kind = ARGV[at + 10]
    addDelivery({ key = ARGV[at + 2], index = ARGV[at + 3], queue = ARGV[at + 4] }, {
      id = ARGV[at + 6], message = ARGV[at + 7], tenant = ARGV[at + 8], url = ARGV[at + 9],
      type = kind, of = ARGV[at + 11], created_ms = ARGV[at + 12], ttl_ms = ARGV[at + 13],
      traceparent = ARGV[at + 14] ~= '' and ARGV[at + 14] or nil,
      body = '{"type":"' .. kind .. '","timestamp":"' .. ARGV[at + 5] .. '","data":'
        .. string.sub(json, ARGV[at + 1] + 1, -2) .. '}',
    })
  end
end
if #freed > 0 then redis.call('SREM', KEYS[3], unpack(freed)) end
if redis.call('EXISTS', KEYS[1]) == 1 then
  local fields = { 'rows', 'tokens', 'now' }
  for tenant in pairs(tenants) do fields[#fields + 1] = tenant end
  local state = redis.call('HMGET', KEYS[1], unpack(fields))
  local changed = {
    'rows', math.max(0, tonumber(state[1] or 0) - rows),
    'tokens', math.max(0, tonumber(state[2] or 0) - tokens),
  }
  for i = 4, #fields do
    changed[#changed + 1] = fields[i]
    changed[#changed + 1] = math.max(0, tonumber(state[i] or 0) - tenants[fields[i]])
  end
  if ARGV[2] ~= '' and tonumber(ARGV[2]) > tonumber(state[3] or 0) then
    changed[#changed + 1] = 'now'
    changed[#changed + 1] = ARGV[2]
  end
  redis.call('HSET', KEYS[1], unpack(changed))
end
-- A single small record travels with its notice: whoever waits need not ask for it.
if #ids == 1 and #last <= 4096 then
  redis.call('PUBLISH', ARGV[1], ids[1] .. '\n' .. last)
elseif #ids > 0 then
  redis.call('PUBLISH', ARGV[1], table.concat(ids, ','))
end
return written
