-- What wrk sends: the requests of the file named by BENCH_REQUESTS, one after another. A line is `METHOD PATH` or
-- `METHOD PATH BODY`; "%N" in a body becomes a number that is never sent twice. BENCH_PAUSE: ms between two requests of a
-- connection.
local lines = {}
for line in io.lines(os.getenv('BENCH_REQUESTS')) do
  local method, path, body = line:match('^(%u+) (%S+) ?(.*)$')
  lines[#lines + 1] = { method = method, path = path, body = body }
end

local headers = { ['Authorization'] = 'Bearer ' .. os.getenv('BENCH_TOKEN'), ['Content-Type'] = 'application/fhir+json' }
local ready = {}
local count = 0
local pause = tonumber(os.getenv('BENCH_PAUSE') or '0')

function init()
  for i, line in ipairs(lines) do
    if line.body == '' then
      ready[i] = wrk.format(line.method, line.path, headers)
    end
  end
end

function request()
  count = count + 1
  local i = count % #lines + 1
  if ready[i] then
    return ready[i]
  end
  local line = lines[i]
  local body = line.body:gsub('%%N', tostring(count))
  return wrk.format(line.method, line.path, headers, body)
end

if pause > 0 then
  function delay()
    return pause
  end
end
