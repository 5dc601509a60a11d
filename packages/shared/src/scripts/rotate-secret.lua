-- Gives a tenant a new secret and ends the one before after a while; at most two are good at once.
-- KEYS[1] the tenant's secrets as JSON, newest first
-- ARGV[1] now in ms  ARGV[2] the new secret as JSON  ARGV[3] ms that the one before stays good, or ''
-- to keep what there is if there is any
-- Returns the secrets that are good, as JSON.
local now = tonumber(ARGV[1])
local good = {}
for _, secret in ipairs(cjson.decode(redis.call('GET', KEYS[1]) or '[]')) do
  if not secret.expires_ms or secret.expires_ms > now then good[#good + 1] = secret end
end
if ARGV[3] == '' and #good > 0 then return cjson.encode(good) end
local secrets = { cjson.decode(ARGV[2]) }
local former = good[1]
local overlap = tonumber(ARGV[3]) or 0
if former and overlap > 0 then
  former.expires_ms = math.min(former.expires_ms or math.huge, now + overlap)
  secrets[2] = former
end
local json = cjson.encode(secrets)
redis.call('SET', KEYS[1], json)
return json
