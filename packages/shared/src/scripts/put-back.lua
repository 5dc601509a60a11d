-- Finishes what BullMQ's moveJobFromActiveToWait leaves of giving a job back: BullMQ knows no more of
-- a place than the priority, and that the job was taken counts as a start of it.
-- KEYS[1] prioritized  KEYS[2] hash of the job
-- ARGV[1] id  ARGV[2] score  ARGV[3] 1 if the job was not begun, else 0
-- Does nothing if the job is not there: another worker has taken it meanwhile.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], 'XX', ARGV[2], ARGV[1])
if ARGV[3] == '1' and redis.call('HINCRBY', KEYS[2], 'ats', -1) == 0 then
  redis.call('HDEL', KEYS[2], 'processedOn')
end
return 1
