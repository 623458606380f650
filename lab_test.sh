#!/usr/bin/env bash
# Tests ./lab: its errors, its output, its records, and the commands of the notes.
set -euo pipefail
cd "$(dirname "$0")"

server= netcat=
trap 'kill $server $netcat 2>/dev/null || true; mv -f build/progress_kept build/progress 2>/dev/null || rm -f build/progress' EXIT
mv build/progress build/progress_kept 2>/dev/null || true # the learner's own

failed() {
    echo "FAILED: $*"
    exit 1
}

# refused PATTERN ARGUMENTS...: lab prints one sentence that matches, and exits with 2.
refused() {
    local pattern=$1 said status=0
    shift
    said=$(./lab "$@" 2>&1 >/dev/null) || status=$?
    said=$(grep -v '^\$ ' <<<"$said" || true)
    [[ $status -eq 2 ]] || failed "lab $* exits with $status, not 2"
    [[ $said == $pattern && $said != *$'\n'* ]] || failed "lab $* says: $said"
    echo "ok: lab $*: $said"
}

# shows PATTERN ARGUMENTS...: lab succeeds, and its output matches.
shows() {
    local pattern=$1 said
    shift
    said=$(./lab "$@" 2>&1) || failed "lab $* fails: $said"
    [[ $said == $pattern ]] || failed "lab $* shows: $said"
    echo "ok: lab $*"
}

./lab build &>build/lab_test.log || failed "the build: $(tail -n 5 build/lab_test.log)"

refused "lab: unknown command 'fly' *" fly
refused "lab: there is no stage 99 *" run 99
refused "lab: expected a stage's number, got '' *" run
refused "lab: expected a stage's number, got 'two' *" freeze two
refused "lab: expected a stage's number, got '' *" diff
refused "lab: test takes --all, --sanitize thread *" test --sanitize memory
refused "lab: unknown target 'stage11'" build stage11
refused "lab: unknown purpose 'all'; dependencies.txt lists them" setup all
refused "lab: elsewhere takes a release of Debian, such as trixie, *" elsewhere
refused "lab: elsewhere takes a release of Debian, *, got 'trixie --gcc'" elsewhere trixie --gcc
refused "lab: diff takes one stage, got '2 3'" diff 2 3
refused "lab: notes takes one stage or one name, got '2 3'" notes 2 3
refused "lab: there is no note 'fly' *" notes fly
refused "lab: there is no note '../README' *" notes ../README
refused "lab: there is no stage 99 *" notes 99
refused "lab: next takes no argument, got '2'" next 2
refused "lab: tour takes no argument, got '2'" tour 2
refused "lab: help takes 'all' or nothing, got 'run'" help run
refused "lab: variants takes one stage and --answers, got '4 --all'" variants 4 --all
refused "lab: expected a stage's number, got '' *" exercise
refused "lab: there is no stage 11 *" exercise 11
refused "lab: stage 3 has no exercise 'fly'; choose one of: *, *" exercise 3 fly
refused "lab: stage 3 has no exercise ''; choose one of: *, *" exercise 3 ''
refused "lab: exercise takes a stage and a name, got '3 a b'" exercise 3 a b
refused "lab: unknown variant 'sleep' of stage 4; choose one of: answer-first, blocking-sleep, *" run 4 --variant sleep
refused "lab: unknown variant '' of stage 3; choose one of: case-sensitive-headers, *" stress 3 --variant
refused "lab: expected a stage's number, got 'two' *" check two
refused "check: no server at 127.0.0.1:1: *" check --server 127.0.0.1:1
refused "check: no server from 'false': it ended before it listened" check 1 --spawn false
refused "check: there is no claim 'fly'; check --list prints them" check --only fly --spawn false
refused "lab: expected a stage's number, got '' *" watch
refused "lab: watch needs --spawn, *" watch 1
refused "gate: unknown fault 'fly'; choose one of: pass, split, *" gate fly
refused "gate: --server: 'here' is not HOST:PORT, *" gate pass --server here
refused "attack: stage: expected a whole number from 3 to 10, got '2' *" attack 2
refused "lab: soak takes --minutes N and --sanitize *" soak --minutes none
refused "matrix: --spawn needs --stage *" matrix --spawn true
refused "lab: unknown part 'all'; choose one of: request, event, session" fuzz all
refused "lab: fuzz takes a part and --seconds N, got 'event --seconds'" fuzz event --seconds
refused "lab: no C++ file has a path that begins with 'stages'" lint stages
refused "lab: no C++ file has a path that begins with 'stage0\\[1]'" lint 'stage0[1]' # not a pattern
refused "lab: no C++ file has a path that begins with '--help'" lint --help
refused "lab: there is no stage 99 *" attack 99
refused "lab: build takes the names of targets, got '--help'" build --help
refused "lab: versions takes no argument, got 'all'" versions all
refused "lab: unknown bench 'shards'; choose one of: timeline, speed, *, lock-granularity" bench shards
refused "lab: unknown bench ''; choose one of: *" bench '' --record
refused "experiment: unknown flag '--bogus' *" bench workers --bogus
refused "lab: matrix --record takes no other flags, got '--stage 3'" matrix --stage 3 --record
refused "stage03_validation: unknown flag '--bogus' *" run 3 --bogus
[[ $(./lab run 3 -e 2>&1) == '$ build/release/bin/stage03_validation -e'$'\n'* ]] || failed 'lab does not show the flag -e'
refused "client: --json: expected no value, got 'maybe' *" stress 3 --json=maybe
refused "client: no server at 127.0.0.1:1: *" stress 3 --server 127.0.0.1:1
refused "client: --server: 'here' is not HOST:PORT, *" stress 3 --server here
refused "client: no server from 'false': it ended before it listened" stress 3 --spawn false

shows "*./lab COMMAND*N is a stage: 1 2 3 4 5 6 7 8 9 10*./lab help all lists all commands: *" help
shows "*./lab COMMAND*  tour *    sharding *" help all
shows "*experiment*workers --help*--csv*" bench workers --help
shows "*"$'\n'"  10 *"$'\n'"  glossary *" notes
shows "*Glossary*## Terms*" notes glossary
shows "*-        handle(listener.accept());*+        Socket socket = co_await *" diff 2
shows "*+#include \"stage03_validation/session.hpp\"*" diff 3
shows "*new defaults, *work_ms 100 instead of 500, workers 16 instead of 4*" diff 7
for stage in 3 5; do
    said=$(./lab diff $stage 2>/dev/null | sed -n 's/^new part: stage/stage/p')
    [[ $stage == 3 ]] || expected='stage05_backpressure/bounded_queue.hpp
stage05_backpressure/connection_limit.hpp
stage05_backpressure/responses.hpp'
    [[ $stage == 5 ]] || expected='stage03_validation/deadline.hpp, deadline.cpp
stage03_validation/event.hpp, event.cpp
stage03_validation/session.hpp, session.cpp'
    [[ $said == "$expected" ]] || failed "the new parts of stage $stage: $said"
done
[[ $(./lab diff 8 2>/dev/null) != *'new defaults'* ]] || failed 'lab diff 8 prints the defaults of stage 7'
shows "*stage 1*PASS*3 of 3 claims passed: your server has reached stage 1"$'\n'"Next: ./lab notes 2" check 1 --spawn 'build/release/bin/stage01_blocking --port 0'
shows "*10  drain *no accepted job is lost on SIGTERM*" check --list
shows "*claim *idle-client *✓ frozen*32 of 32 cells as expected" matrix --stage 1
shows "*ALIVE*20 netcats*FROZEN*have left*ALIVE*" freeze 1
shows "*ALIVE*20 netcats*ALIVE*have left*ALIVE*" freeze 2
shows "*+#include \"stage04_state/query.hpp\"*" diff 4
shows "*blocking-sleep*the claim \`query-during-work\` fails, and*no-lock*" variants 4
shows "*case-sensitive-headers*clock-per-read*the claim \`slow-head\` fails.*" variants 3 --answers
said=$(./lab variants 3)
[[ $said == *case-sensitive-headers* && $said != *clock-per-read* &&
    $said == *'Answers of exercises: '*' more, which ./lab variants 3 --answers lists' ]] ||
    failed "lab variants 3 gives answers away: $said"
shows "*stage04_variant_blocking_sleep*ALIVE*" freeze 4 --variant blocking-sleep
shows "*as expected for stage 3" stress 3 --requests 1000
shows '*{"stage":3,"as_expected":true,"load":{"accepted":1000,*' stress 3 --requests 1000 --json

# Every dependency has one row, and CMake's own files agree with the row of CMake.
twice=$(awk '/^[a-z]/ { print $2 }' dependencies.txt | sort | uniq -d)
[[ -z $twice ]] || failed "dependencies.txt has two rows for $twice"
least=$(awk '$2 == "cmake" { print $3 }' dependencies.txt)
[[ $(head -n 1 CMakeLists.txt) == "cmake_minimum_required(VERSION $least)" ]] || failed "CMake $least: not in CMakeLists.txt"
grep -q "\"major\": ${least%.*}, \"minor\": ${least#*.}," CMakePresets.json || failed "CMake $least: not in CMakePresets.json"
while read -r _ package _; do
    [[ $package != *-dev && $package != *-[0-9]* ]] || ! grep -qF -- "$package" lab || failed "lab names $package itself"
done < <(grep '^[a-z]' dependencies.txt)
shows '*libasio-dev *at least 1.22 *' versions
echo 'ok: dependencies.txt'

# CMake names the package of a library that is missing or too old.
misfit=build/lab_test
rm -rf $misfit
mkdir -p $misfit/asio $misfit/bin
echo '#define ASIO_VERSION 101802 // 1.18.2' >$misfit/asio/version.hpp
configures() {
    ! cmake -S . -B $misfit/build -G Ninja "$@" 2>&1 | tr -s '\n ' ' '
}
said=$(configures -DASIO_INCLUDE_DIR="$PWD/$misfit")
[[ $said == *'Asio 1.18 is too old: install 1.22 or newer, in Debian the package libasio-dev.'* ]] || failed "old Asio: $said"
said=$(configures -UASIO_INCLUDE_DIR -DCMAKE_DISABLE_FIND_PACKAGE_fmt=ON)
[[ $said == *"fmt (9.1 or newer) is missing: install Debian's package libfmt-dev, or"* ]] || failed "no fmt: $said"
echo "ok: CMake names the package of a library that is missing or too old"

# If no package is installed, commands name the missing packages and their purpose, and install nothing.
printf '#!/bin/sh\nexit 1\n' >$misfit/bin/dpkg-query
for tool in apt-get sudo; do
    printf '#!/bin/sh\ntouch "%s/%s"\n' "$PWD/$misfit" $tool >$misfit/bin/$tool
done
chmod +x $misfit/bin/*
for command in "run 1" "freeze 1" "check 1" "matrix" "fuzz event" "bench workers"; do
    PATH=$PWD/$misfit/bin:$PATH refused "lab: packages are missing: *cmake (writes the build, from presets), *; './lab setup build*' installs them" $command
done
[[ ! -e $misfit/apt-get && ! -e $misfit/sudo ]] || failed "a command other than tour, test and setup installs packages"

# Only a terminal gets colours, help fits 80 columns, and standard output and error keep their order.
shows '*new part: *$ diff -u *stage02_async/server.cpp stage03_validation/server.cpp*--- stage02*' diff 3
[[ $(NO_COLOR=1 script -qec './lab diff 2' /dev/null) != *$'\e'* ]] || failed "NO_COLOR: ./lab diff 2 is coloured"
[[ $(script -qec 'env -u NO_COLOR ./lab diff 2' /dev/null) == *$'\e'* ]] || failed "./lab diff 2 is not coloured on a terminal"
mkdir -p "$misfit/half [a pair" && cp -r lab lab.d dependencies.txt "$misfit/half [a pair"
said=$("$misfit/half [a pair/lab" build stage01_blocking 2>&1) && failed "half a pair of brackets: $said"
[[ $said == "lab: CMake can't build in '"*"unpaired bracket" ]] || failed "half a pair of brackets: $said"
wide=$(./lab help && ./lab help all && ./lab notes && ./lab exercise 5 | awk 'length > 80')
wide=$(awk 'length > 80' <<<"$wide")
[[ -z $wide ]] || failed "wider than 80 columns: $wide"
ln -sf "$PWD/lab" $misfit/link
ln -sf ../link $misfit/bin/relative
ln -sf relative $misfit/bin/lab
[[ $(cd / && "$OLDPWD/$misfit/bin/lab" diff 2 2>&1) == *'+++ stage02_async/server.cpp'* ]] || failed "lab through symbolic links"
ln -sf "$PWD/build/release/bin/stage01_blocking" $misfit/bin/my_server
said=$(cd $misfit/bin && ./lab check 1 --spawn './my_server --port {port}' 2>&1) || failed "check in another folder: $said"
[[ $said == *'3 of 3 claims passed'* ]] || failed "check in another folder: $said"

# watch checks again after a change, and ends when all claims pass.
watched=$(mktemp -d)
echo "exec $PWD/build/release/bin/stage01_blocking --port \$1" >$watched/server.sh
lab=$PWD/lab
(cd $watched && exec "$lab" watch 2 --spawn 'sh ./server.sh {port}' &>$watched.txt) &
watch=$!
for ((i = 0; i < 300; ++i)); do ! grep -q '^Waiting for a change' $watched.txt || break; sleep 0.1; done
said=$(cat $watched.txt)
[[ $said == *'FAIL  an idle client blocks no other client'*'why '*'Read ./lab notes 2 '*'Waiting for a change of a file in '* &&
    $said != *'20 idle connections'* ]] || failed "watch: $said"
sed -i s/stage01_blocking/stage02_async/ $watched/server.sh
for ((i = 0; i < 300; ++i)); do kill -0 $watch 2>/dev/null || break; sleep 0.1; done
kill $watch 2>/dev/null && failed "watch does not end: $(cat $watched.txt)"
wait $watch || failed "watch fails: $(cat $watched.txt)"
[[ $(tail -n 1 $watched.txt) == 'Then: ./lab watch 3 --spawn ...' ]] || failed "watch ends with: $(cat $watched.txt)"
rm -r $watched $watched.txt
echo 'ok: watch'
echo 'ok: colours, widths and unusual paths'

# The help lists eleven commands of a learner, and help all every command.
verbs=$(sed -n 's/^lab_\([a-z]*\)() {$/\1/p' lab lab.d/*.sh)
[[ $(wc -w <<<$verbs) -ge 20 && $(./lab help | grep -c '^  [a-z]') -eq 11 ]] || failed "the help's commands: $verbs"
all=$(./lab help all)
for verb in $verbs; do
    grep -q "^  $verb " <<<"$all" || failed "help all lacks $verb"
done
[[ $(./lab help | tail -n 1) == *'./lab help all'* ]] || failed "help does not end with help all"
echo 'ok: help'

# A note in the terminal has no marks of Markdown, folds nothing, and has hints and answers at its end.
for stage in 3 5; do
    note=docs/stage0$stage.md
    said=$(./lab notes $stage)
    before=${said%%'## Answers'*}
    [[ $before == *"(Answer 1 at the end)"*'## Exercises'*'Hint 1 is at the end.'*'## Hints'*'### Hint 1: '* ]] || failed "the end of notes $stage: $said"
    [[ $before != *'### Answer '* ]] || failed "notes $stage shows an answer early"
    [[ $(grep -c '^ *### \(Hint\|Answer\) [0-9]*: ' <<<"$said") -eq $(grep -c '<details>' $note) ]] || failed "notes $stage lacks answers"
    [[ $said != *'<'[/!d]* && $said != *'```'* && $said != *$'\e'* && $said != *'](stage'* ]] || failed "notes $stage has marks: $said"
    # Only commands and C++, which stay as they are in the note, are wider than the terminal.
    while IFS= read -r wide; do
        grep -qxF -- "${wide#    }" $note || failed "notes $stage is wider than 80 columns: $wide"
    done < <(LC_ALL=C awk '{ line = $0; gsub(/[\200-\277]/, "") } length > 80 { print line }' <<<"$said")
done
# A picture of a server is shown as its drawing, in one piece. Other pictures are shown as their names.
for page in 1 5 10 pipeline; do
    drawing=docs/structure/$page.txt
    [[ $page == pipeline ]] || printf -v drawing 'docs/structure/stage%02d.txt' $page
    said=$(./lab notes $page)
    [[ $said == *$'\n'"$(sed 's/^/    /' "$drawing")"$'\n'* && $said != *structure/* ]] || failed "notes $page lacks its drawing: $said"
done
[[ $(./lab notes 2) == *results/freeze.svg* ]] || failed "notes 2 lacks the name of its chart"
[[ $(./lab notes glossary) == *$'\n    deadline, timer (3)\n'*'Java: ScheduledExecutorService'* ]] || failed "the wide table of the glossary"
on_terminal() {
    script -qec "stty cols ${2:-80}; $1 PAGER=cat ./lab notes 2" /dev/null
}
[[ $(on_terminal 'env -u NO_COLOR') == *$'\e['*'Stage 2'* ]] || failed "notes on a terminal have no colours"
[[ $(on_terminal NO_COLOR=1) != *$'\e'* ]] || failed "NO_COLOR: notes are coloured"
[[ $(on_terminal NO_COLOR=1 200 | tr -d '\r' | awk 'length > 80' | wc -l) -gt 9 ]] || failed "notes do not use the terminal's width"
[[ -z $(on_terminal NO_COLOR=1 200 | tr -d '\r' | LC_ALL=C awk '{ gsub(/[\200-\277]/, "") } length > 100 && !/\|/') ]] || failed "notes are wider than 100 columns"
mkdir -p $misfit/few
for tool in bash awk basename cat cut dirname grep head mkdir readlink realpath sed; do ln -sf "$(command -v $tool)" $misfit/few/$tool; done
said=$(PATH=$PWD/$misfit/few ./lab notes 2 2>&1)
[[ $said == '# Stage 2: '*'## Answers'*'install the package lowdown: ./lab setup' ]] || failed "notes without lowdown: $said"
echo 'ok: notes'

# The first steps of a learner, in a build folder whose programs are scripts that print the text of a file.
learner=$misfit/learner
mkdir -p $learner/release/bin $misfit/stubs
touch $learner/release/build.ninja $learner/release/made_for
for program in matrix freeze client stage01_blocking stage05_backpressure; do
    printf '#!/bin/sh\necho "$0 $*" >"%s/called"\ncat "%s/says"\nexit $(cat "%s/status")\n' "$PWD/$learner"{,,} >$learner/release/bin/$program
done
cat >$learner/release/bin/stage10_shutdown <<'END'
#!/usr/bin/env python3
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("listening on 127.0.0.1:1", flush=True)
signal.sigwait([signal.SIGINT])
print("[total] 1 jobs\nreceived=2 processed=1 dropped=1 pending=0")
END
printf '#!/bin/sh\ncat "%s/ninja"\n' "$PWD/$learner" >$misfit/stubs/ninja
printf '#!/bin/sh\ncat "%s/edited"\n' "$PWD/$learner" >$misfit/stubs/git
ln -s /bin/true $misfit/stubs/cmake
chmod +x $learner/release/bin/* $misfit/stubs/*
echo 'ninja: no work to do.' >$learner/ninja
says() { # STATUS TEXT: what the programs say from now on
    echo "$1" >$learner/status
    echo "$2" >$learner/says
}
says 0 alive
(
    export PATH=$PWD/$misfit/stubs:$PATH
    UNFREEZE_BUILD=$misfit/fresh shows "Welcome*./lab tour *./lab next *"
    [[ ! -e $misfit/fresh ]] || failed "lab without arguments builds something"
    export UNFREEZE_BUILD=$PWD/$learner
    shows '*$ ./lab notes 1*Stage 1: *Next: ./lab freeze 1' next
    shows $'*\nNext: ./lab freeze 1     (./lab next runs it)\n*'

    shows '* 1 blocking * ✓     -     -    -  *0 of *Next: ./lab freeze 1 *exercises of stage 1: ./lab exercise 1'
    shows '*$ ./lab freeze 1*alive*Next: ./lab notes 2' next
    shows '*1 blocking * ✓     -     -    ✓  *Next: ./lab notes 2 *'
    ./lab stress 5 --variant four-workers &>/dev/null || true
    for command in "run 1" "stress 5" "stress 5" "notes glossary" "stress 6 --spawn false" "run 5 --help" "matrix --stage 4" "diff 05"; do ./lab $command &>/dev/null || failed "lab $command"; done
    says 1 'as not expected'
    ! ./lab stress 7 &>/dev/null || failed "a failed stress succeeds"
    [[ $(cat $learner/progress) == 'notes 1
freeze 1
run 1
stress 5
claims 5
notes glossary
claims 4
diff 5' ]] || failed "the progress: $(cat $learner/progress)"

    IFS='|' read -r name _ < <(awk -f lab.d/exercises.awk docs/stage03.md)
    says 1 'Not yet: what is missing'
    said=$(./lab exercise 3 $name 2>&1) && failed "an unsolved exercise succeeds"
    [[ $said == *'Not yet: what is missing' && $(./lab exercise 3) == '- '* ]] || failed "an unsolved exercise: $said"
    says 0 'Solved: what changed'
    shows '*Solved: what changed*Compare your change with the answer, at the end of ./lab notes 3' exercise 3 $name
    [[ $(cat $learner/called) =~ /matrix' --stage 3 --goal '[a-z] ]] || failed "the exercise runs $(cat $learner/called)"
    shows "✓ *./lab exercise 3 $name*- *" exercise 3
    shows '* 3 validation *1 of *'

    # The exercises in which no result is to change: an edit is needed, and a figure or a measurement decides.
    says 0 'No result changed, which is the goal.'
    quiet=0
    while IFS='|' read -r stage name _ variants _ command; do
        grep -q ': no claim fails.$' stage"$(printf %02d "$stage")"_*/variants/"${variants%% *}".patch || continue
        quiet=$((quiet + 1))
        : >$learner/edited
        said=$(./lab exercise $stage $name 2>&1) && failed "lab exercise $stage $name succeeds without a change"
        [[ $said == 'Nothing has changed yet: '* ]] || failed "lab exercise $stage $name: $said"
        echo '+edited' >$learner/edited
        sed 's/"[0-9.]*x"/"9.99x"/' docs/results/matrix.json >$learner/exercise.json
        decides=${command:-'`* changed from *x to 9.99x.'}
        shows "*No result changed, *Solved, as far as the claims can tell. What decides: $decides*Compare *" exercise $stage $name
    done < <(for note in docs/stage*.md; do LC_ALL=C awk -f lab.d/exercises.awk $note | sed "s/^/$((10#${note:10:2}))|/"; done)
    [[ $quiet -ge 2 ]] || failed "only $quiet exercises without a change of a result"

    # A long build is announced, and a configuration that is out of date.
    says 0 alive
    said=$(./lab freeze 1 2>&1)
    [[ $said != *compiling* && $said != *configuring* ]] || failed "a build of nothing: $said"
    echo '[57/57] Linking CXX executable bin/freeze' >$learner/ninja
    shows '*lab: configuring the build again, *lab: compiling in 57 steps; on two cores this takes about 50 seconds*alive' freeze 1
    echo 'ninja: no work to do.' >$learner/ninja
    shows '*Clients send*refuses some with 503*received=2 *dropped: refused with 503. pending=0: all accepted events were processed. exit status 0*Next: ./lab next' tour
)

# recipe FLAGS...: runs a server as a note does; sets $server, $port and $url.
recipe() {
    exec {announcement}< <(exec ./lab run "$@" --port 0 2>/dev/null)
    server=$!
    read -rt 30 -u "$announcement" line
    port=${line##*:}
    url=http://127.0.0.1:$port/
}

for stage in 1 2; do
    recipe $stage
    exec {connected}< <(exec nc -dv 127.0.0.1 "$port" 2>&1)
    netcat=$!
    read -rt 10 -u "$connected" line
    status=0
    curl -sS -m 1 -d hello "$url" >/dev/null 2>&1 || status=$?
    [[ $status -eq $((stage == 1 ? 28 : 0)) ]] || failed "curl beside a netcat, stage $stage: $status"
    kill $netcat
    [[ $(curl -sS -m 5 -d hello "$url") == hello ]] || failed "stage $stage does not thaw"
    kill $server
    server= netcat=
    echo "ok: the recipe of stage $stage"
done

# answers PATTERN CURL_ARGUMENTS...: the server's response matches.
answers() {
    local said
    said=$(curl -sS -m 5 "${@:2}" "$url")
    [[ $said == $1 ]] || failed "curl ${*:2}: $said"
    echo "ok: $said"
}

event='{"user":"alice","action":"buy","amount":100}'
query='{"type":"balance","user":"alice"}'

recipe 3 --variant case-sensitive-headers
answers '{"status":"accepted"}' -d "$event"
answers '*"reason":"invalid_json"*byte 0*' --http1.1 -H 'Content-Length:' -H 'content-length: 44' -d "$event"
kill $server

recipe 4
answers '{"status":"accepted","balance":100}'$'\n'' after 0.[5-9]*' -d "$event" -w ' after %{time_total}'
answers '{"user":"alice","balance":100}' -d "$query"
kill $server

recipe 5 --queue-capacity 3
statuses=$(for ((i = 0; i < 6; ++i)); do
    curl -sS -m 5 -o /dev/null -w '%{http_code} ' -d "$event" "$url"
done)
[[ $statuses == '202 '*'503 ' ]] || failed "six events for a queue of three: $statuses"
echo "ok: $statuses"
kill $server
server=
