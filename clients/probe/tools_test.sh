#!/usr/bin/env bash
# Tests the servers with common clients: curl, wget, netcat, ApacheBench and wrk.
# Usage: tools_test.sh DIRECTORY_OF_PROGRAMS. Exits with 77 if a tool is missing and nothing was tested.
set -euo pipefail
bin=$1

for tool in curl wget nc ab wrk; do
    command -v $tool >/dev/null || { echo "SKIPPED, NOTHING TESTED: $tool is missing (./lab setup)"; exit 77; }
done

work=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT

# start PROGRAM [flags]: starts a server on a free port, and sets $url, $port and $server.
start() {
    exec {announcement}< <(exec "$bin/$1" --port 0 "${@:2}")
    server=$!
    read -rt 10 -u "$announcement" line
    port=${line##*:}
    url=http://127.0.0.1:$port/
    cat <&"$announcement" >/dev/null & # so that the server never blocks on a full pipe
}

stop() {
    kill -0 "$server" # it still runs
    kill "$server"
    exec {announcement}<&-
}

# expect WHAT ACTUAL PATTERN
expect() {
    [[ $2 == $3 ]] || { echo "FAILED: $1: expected '$3', got '$2'"; exit 1; }
    echo "ok: $1"
}

# Prints the number of failed requests and of non-2xx responses that ApacheBench counted.
failed_and_non_2xx() {
    awk '/^Failed requests:/ { failed = $3 } /^Non-2xx responses:/ { non_2xx = $3 }
         END { print failed "," non_2xx + 0 }' "$work/ab"
}

event='{"user":"alice","action":"buy","amount":100}'
echo "$event" >"$work/event.json"

declare -A flags=(
    [stage02_async]='' [stage03_validation]='' [stage04_state]='--work-ms 0'
    [stage05_backpressure]='--work-ms 0 --queue-capacity 1000000'
    [stage06_workers]='--work-ms 0 --queue-capacity 1000000'
    [stage07_contention]='--work-ms 0 --hold-ms 0 --queue-capacity 1000000'
    [stage08_sharding]='--work-ms 0 --hold-ms 0 --queue-capacity 1000000'
)
for stage in "${!flags[@]}"; do
    start "$stage" ${flags[$stage]} # unquoted: splits into flags
    expect "$stage, curl" "$(curl -sS -m 10 -w ' %{http_code}' -d "$event" "$url" | tr -d '\n')" '*{*} 20[02]'
    expect "$stage, curl by HTTP/1.0" "$(curl -sS -m 10 -0 -w ' %{http_code}' -d "$event" "$url")" '* 20[02]'
    expect "$stage, wget" "$(wget -q -T 10 -t 1 -O - --post-data "$event" "$url")" '{*}'
    request=$(printf 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s' ${#event} "$event")
    expect "$stage, netcat" "$(nc -N -w 10 127.0.0.1 "$port" <<<"$request" | head -1)" 'HTTP/1.1 20[02] *'
    ab -q -l -s 10 -n 2000 -c 20 -p "$work/event.json" "$url" >"$work/ab"
    expect "$stage, ab" "$(failed_and_non_2xx)" 0,0
    ab -q -l -s 10 -k -n 2000 -c 20 -p "$work/event.json" "$url" >"$work/ab"
    expect "$stage, ab -k" "$(failed_and_non_2xx)" 0,0
    printf 'wrk.method = "POST"\nwrk.body = [[%s]]\n' "$event" >"$work/post.lua"
    wrk -t 1 -c 50 -d 1 -s "$work/post.lua" "$url" >"$work/wrk"
    expect "$stage, wrk" "$(grep -E 'Non-2xx|connect [1-9]|timeout [1-9]' "$work/wrk")" ''
    expect "$stage, wrk got responses" "$(grep 'requests in' "$work/wrk")" '*[1-9]*requests in*'
    stop
done

start stage03_validation
expect "keep-alive by curl" "$(curl -sS -m 10 -o /dev/null -o /dev/null -w '%{num_connects},' -d "$event" "$url" "$url")" '1,0,'
expect "chunked by curl" "$(curl -sS -m 10 -H 'Transfer-Encoding: chunked' -d "$event" "$url")" '{"status":"accepted"}'
expect "Expect by curl" "$(curl -sS -m 10 -v -H 'Expect: 100-continue' -d "$event" "$url" 2>&1 | grep -c '100 Continue')" 1
head -c 40000000 /dev/zero >"$work/40MB"
upload=$(curl -sS -m 10 -H 'Expect:' -o "$work/answer" -w '%{http_code} %{size_upload}' --data-binary "@$work/40MB" "$url")
expect "40 MB by curl" "$upload" '413 *'
[[ ${upload#* } -lt 40000000 ]] || { echo "FAILED: all 40 MB were sent before the 413"; exit 1; }
expect "413 with a reason" "$(cat "$work/answer")" '*body_too_large*'
stop
