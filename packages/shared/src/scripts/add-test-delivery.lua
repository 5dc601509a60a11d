-- Has a test event sent.
-- KEYS[1] delivery hash  KEYS[2] the tenant's list of deliveries
-- ARGV[1] prefix of BullMQ's keys of the queue  then fields of the delivery: id, message, tenant, url,
-- type, of, created_ms, ttl_ms, body
-- @include add-delivery
addDelivery({ key = KEYS[1], index = KEYS[2], queue = ARGV[1] }, {
  id = ARGV[2], message = ARGV[3], tenant = ARGV[4], url = ARGV[5], type = ARGV[6], of = ARGV[7],
  created_ms = ARGV[8], ttl_ms = ARGV[9], body = ARGV[10],
})
return 1
