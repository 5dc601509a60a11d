-- Finishes what BullMQ's moveToDelayed leaves of putting off a job that was not begun: that it was
-- taken counts as a start of it, and how often it was put off is counted.
-- KEYS[1] delayed  KEYS[2] hash of the job
-- ARGV[1] id
-- Does nothing if the job is not there: its time has come meanwhile.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('HINCRBY', KEYS[2], 'put_off', 1)
if redis.call('HINCRBY', KEYS[2], 'ats', -1) == 0 then
  redis.call('HDEL', KEYS[2], 'processedOn')
end
return 1
