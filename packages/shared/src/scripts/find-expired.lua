-- Looks at a slice of the jobs that wait in a queue for those that never started and whose time to
-- live is over.
-- KEYS[1] prioritized
-- ARGV[1] prefix of BullMQ's job keys  ARGV[2] rank of the first job  ARGV[3] jobs of the slice
-- ARGV[4] now in ms
-- Returns how many jobs there were, and the ids of those whose time is over.
local ids = redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[2] + ARGV[3] - 1)
local reply = { #ids }
for _, id in ipairs(ids) do
  local job = redis.call('HMGET', ARGV[1] .. id, 'data', 'timestamp', 'processedOn')
  -- Within a text the quotes would be escaped, so this is the field and nothing of a caller's.
  local ttl = job[1] and not job[3] and string.match(job[1], '"ttl_s":(%d+)')
  if ttl and job[2] + ttl * 1000 <= tonumber(ARGV[4]) then reply[#reply + 1] = id end
end
return reply
