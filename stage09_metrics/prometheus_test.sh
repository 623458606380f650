#!/usr/bin/env bash
# Checks /metrics with promtool, and lets a Prometheus scrape it.
# Usage: prometheus_test.sh DIRECTORY_OF_PROGRAMS. Exits with 77 if a tool is missing and nothing was tested.
set -euo pipefail
bin=$1
[[ ${2-} == bounded ]] || exec timeout --kill-after=5 55 "$0" "$bin" bounded # timeout ends all processes of this test

command -v prometheus >/dev/null && command -v promtool >/dev/null ||
    { echo "SKIPPED, NOTHING TESTED: prometheus is missing (apt install prometheus)"; exit 77; }
command -v curl >/dev/null || { echo "SKIPPED, NOTHING TESTED: curl is missing (./lab setup)"; exit 77; }

work=$(mktemp -d)
server= prometheus=
clean_up() {
    kill $server $prometheus 2>/dev/null || true # unquoted: either may be empty
    wait $server $prometheus 2>/dev/null || true # Prometheus writes to $work until it exits
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

failed() {
    echo "FAILED: $*"
    exit 1
}

# within SECONDS COMMAND...: repeats the command until it succeeds.
within() {
    local end=$((SECONDS + $1))
    until "${@:2}"; do
        [[ $SECONDS -lt $end ]] || return 1
        sleep 0.1
    done
}

# listens LOG PATTERN: sets $address to the first group of the pattern in the line that matches.
listens() {
    address=$(sed -nE "s/$2/\1/p" "$1")
    [[ -n $address ]]
}

"$bin/stage09_metrics" --port 0 --work-ms 5 --hold-ms 0 >"$work/server.log" 2>&1 &
server=$!
within 10 listens "$work/server.log" '^listening on (.*)$' || failed "no server: $(cat "$work/server.log")"
url=http://$address

sent=7
for ((i = 0; i < sent; ++i)); do
    curl -sS -m 5 -o "$work/answer" -d '{"user":"alice","action":"buy","amount":100}' "$url/"
done
curl -sS -m 5 -o "$work/answer" -d 'no event' "$url/"

# promtool prints problems even if it exits with 0.
curl -sS -m 5 -o "$work/metrics" "$url/metrics"
said=$(promtool check metrics <"$work/metrics" 2>&1) || failed "promtool fails: $said"
[[ -z $said ]] || failed "promtool complains: $said"
echo "ok: promtool reports no problem in $(grep -c '^# TYPE' "$work/metrics") metrics"

cat >"$work/prometheus.yml" <<END
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: unfreeze
    static_configs:
      - targets: ['$address']
END

prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
    --web.listen-address=127.0.0.1:0 >"$work/prometheus.log" 2>&1 &
prometheus=$!
within 10 listens "$work/prometheus.log" '^.*msg="Listening on".* address=([0-9.:]+).*$' ||
    failed "no Prometheus: $(cat "$work/prometheus.log")"

# knows METRIC VALUE: a query to Prometheus returns this value.
knows() {
    answer=$(curl -sS -m 2 -G --data-urlencode "query=$1" "http://$address/api/v1/query" 2>&1) || true
    [[ $answer == *'"value":['*",\"$2\"]"* ]]
}

for metric in unfreeze_events_{received,processed}_total unfreeze_requests_invalid_total \
    unfreeze_event_duration_seconds_count; do
    value=$sent
    [[ $metric != *invalid* ]] || value=1
    within 30 knows $metric $value || failed "$metric: expected $value, got: $answer"
    echo "ok: Prometheus knows $metric: $value"
done
