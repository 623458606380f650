-- The load of `bench` for wrk, and the line that it prints at the end.
-- Arguments: how many requests to pipeline; "keep" or "close" for the connections; and "count-503s" to
-- count 503s, which takes too much of wrk's time to measure meanwhile.

local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    wrk.method = "POST"
    wrk.body = '{"user":"alice","action":"buy","amount":100}'
    wrk.headers["Content-Type"] = "application/json"
    if arguments[2] == "close" then
        wrk.headers["Connection"] = "close"
    end
    local at_a_time = tonumber(arguments[1])
    if at_a_time > 1 then
        local requests = string.rep(wrk.format(), at_a_time)
        request = function() return requests end
    end
    unavailable = 0
    if arguments[3] == "count-503s" then
        response = function(status)
            if status == 503 then
                unavailable = unavailable + 1
            end
        end
    end
end

-- Prints one line, times in microseconds: see Figures in bench.cpp.
function done(summary, latency)
    local unavailable_total = 0
    for _, thread in ipairs(threads) do
        unavailable_total = unavailable_total + thread:get("unavailable")
    end
    local errors = summary.errors
    print(string.format("figures %d %d %d %d %d %d %d %d", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9), errors.status,
        unavailable_total, errors.connect + errors.read + errors.write + errors.timeout))
end
