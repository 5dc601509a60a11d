-- Makes a file of content that is stored.
-- KEYS[1] the file's record  KEYS[2] the tenant's list of files  KEYS[3] sorted set of files by expiry
-- KEYS[4] Idempotency-Key, read only where ARGV[5] is set
-- ARGV[1] record as JSON  ARGV[2] file id  ARGV[3] its member of the set of expiry  ARGV[4] expires in ms
-- ARGV[5] '', or the value of the key while this upload holds it  ARGV[6] what is kept there instead
-- ARGV[7] for how many ms
-- Returns 1, or 0 when another upload under the key has it: then there is no file.
if ARGV[5] ~= '' then
  if redis.call('GET', KEYS[4]) ~= ARGV[5] then return 0 end
  redis.call('SET', KEYS[4], ARGV[6], 'PX', ARGV[7])
end
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[4])
redis.call('ZADD', KEYS[2], 0, ARGV[2])
return 1
