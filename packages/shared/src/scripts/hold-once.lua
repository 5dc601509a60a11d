-- Keeps hold of an Idempotency-Key, or lets go of it; what is another's is left alone.
-- KEYS[1] the key  ARGV[1] value while it is held  ARGV[2] for how many ms more, or 0 to let go
-- Returns 1 if it was held.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
