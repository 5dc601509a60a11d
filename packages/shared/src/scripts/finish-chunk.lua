-- Records which part holds the rows of a chunk; the first one counts.
-- KEYS[1] batch hash  KEYS[2] hash of the chunks that are done
-- ARGV[1] index  ARGV[2] the part as JSON  then pairs of a field of the batch and what it grows by
-- Returns 1 if it was recorded, 0 if another part was, or the batch takes no more.
if redis.call('HGET', KEYS[1], 'status') ~= 'in_progress' then return 0 end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 0 end
for i = 3, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HINCRBY', KEYS[1], 'done_chunks', 1)
return 1
