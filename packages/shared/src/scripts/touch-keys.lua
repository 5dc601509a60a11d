-- Notes when API keys were last used; keys that are gone stay gone.
-- KEYS  hashes of API keys
-- ARGV[1] now in seconds  ARGV[2] seconds that must have passed since the last note
for _, key in ipairs(KEYS) do
  local noted = redis.call('HMGET', key, 'definition', 'last_used_at')
  if noted[1] and ARGV[1] - (noted[2] or 0) >= tonumber(ARGV[2]) then
    redis.call('HSET', key, 'last_used_at', ARGV[1])
  end
end
return 0
