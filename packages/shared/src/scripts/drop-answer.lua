-- Shared by scripts, which include it. An attempt of a delivery, as JSON, without what the receiver
-- answered beside the status.
local function dropAnswer(json)
  local attempt = cjson.decode(json)
  attempt.response_head = cjson.null
  return cjson.encode(attempt)
end
