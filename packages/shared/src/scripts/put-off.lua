-- Says of a job that a worker holds that it was not begun, before BullMQ puts it off: that it was
-- taken counts as a start of it. How often it was put off is counted.
-- KEYS[1] lock of the job  KEYS[2] hash of the job
-- ARGV[1] lock token
-- Returns 0 if the job is held no more: another worker has it.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HINCRBY', KEYS[2], 'put_off', 1)
if redis.call('HINCRBY', KEYS[2], 'ats', -1) == 0 then
  redis.call('HDEL', KEYS[2], 'processedOn')
end
return 1
