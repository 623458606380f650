-- What wrk sends for `bench`, and what it says afterwards.
-- Arguments: how many requests go out at a time; "keep" or "close" for the connections; and "look" to
-- have each answer's status looked at, which takes so much of wrk's time that it is not for measuring.

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
    if arguments[3] == "look" then
        response = function(status)
            if status == 503 then
                unavailable = unavailable + 1
            end
        end
    end
end

-- One line, of times in microseconds: see Figures in bench.cpp.
function done(summary, latency)
    local unavailable_in_all = 0
    for _, thread in ipairs(threads) do
        unavailable_in_all = unavailable_in_all + thread:get("unavailable")
    end
    local errors = summary.errors
    print(string.format("figures %d %d %d %d %d %d %d %d", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9), errors.status,
        unavailable_in_all, errors.connect + errors.read + errors.write + errors.timeout))
end
