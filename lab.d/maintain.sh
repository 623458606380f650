# The part of ./lab that tests, measures and maintains the course. ./lab includes it.

# Each bench: its name, the program that measures it, and what it measures.
benches=(
    'timeline|timeline|what becomes of 24 requests and a SIGTERM in each stage'
    'speed|bench|CPU time of a request: the last stage and nginx'
    'stage-costs|bench --stages|CPU time of a request in each stage'
    'overload|goodput|events done in time at 0.5 to 10 times the capacity'
    'coroutines|coroutines|time and memory of coroutines and of threads'
    'connections|experiment connections|memory of an idle connection: coroutine, thread, pool'
    'queues|queue_benchmark|the bounded queue of stage 5, compared with two libraries'
    'maps|map_benchmark|the sharded map of stage 8, compared with two libraries'
    'counters|metrics_benchmark counters|time to count: mutex, atomic, one cell per thread'
    'readings|metrics_benchmark readings|reading two counters while threads count'
    'freeze|experiment freeze|response times beside 20 idle clients'
    'stage-throughput|experiment stage-throughput|responses a second of stages 1 to 5'
    'queue-capacity|experiment queue-capacity|wait and memory of queues of 10 to 100,000 jobs'
    'workers|experiment workers|time for 100 jobs with 1 to 16 workers'
    'contention|experiment contention|jobs a second of 1 to 64 workers with one lock'
    'sharding|experiment sharding|more locks, shorter work, a longer queue'
    'lock-granularity|experiment lock-granularity|from one lock to one lock for each user'
)

help_maintainers() {
    local row name what
    cat <<END
Test, measure and maintain:

  test [--all] [--sanitize thread | address]
                     run the tests; --all adds the slow tests
                     (CONTRIBUTING.md lists them)
  matrix [--stage N] test every stage, or one, against every claim of the
                     course: about a minute
  gate FAULT --server 127.0.0.1:8080 [flags]
                     run a proxy that stands between clients and a server,
                     and injects a fault: delay, join, corrupt, reset ...
                     (./lab gate --help lists the faults)
  build [TARGET...]  compile every server and tool, or only the named targets: a
                     program's name, or 'tests' for everything
  bench [NAME] [flags]
                     measure, and write the rows to build/results/NAME.csv: see
                     the list below; without a NAME it measures speed
  attack [N]         send hostile traffic to stage N, or to the last stage, for
                     a minute
  soak [--minutes N] [--sanitize thread | address]
                     run the last stage under good, bad, slow and vanishing
                     clients, and stop and restart it every minute
  fuzz NAME [--seconds N]
                     let libFuzzer generate input for a part: request, event or
                     session
  lint [PATH]        check all C++ with clang-tidy and cppcheck (about ten
                     minutes), or the files whose path begins with PATH
  versions           list the dependencies and their installed versions
  setup [PURPOSE...] install missing packages (Debian, Ubuntu), or list them.
                     A PURPOSE is a word of dependencies.txt, and adds packages:
                     with 'browser', tests open the page in Chromium
  elsewhere RELEASE [--clang]
                     install another Debian release (trixie, sid ...) in
                     build/elsewhere, and run the tour and the tests there; this
                     needs root
  help [all]         print the learner's commands, or all of them

Each command builds what it needs, and shows the programs that it runs.
freeze and stress start the server themselves, on a free port. To use a server
that already runs, add --server HOST:PORT; to start another one, add
--spawn '/path/to/server --port {port}'. run takes --sanitize thread | address
after the number. variants takes --answers, to list them as well.
UNFREEZE_BUILD=FOLDER builds in that folder instead of build; NO_COLOR=1
disables colours.

The benches:
END
    for row in "${benches[@]}"; do
        IFS='|' read -r name _ what <<<"$row"
        printf '    %-18s%s\n' "$name" "$what"
    done
    cat <<END

timeline takes the number of a stage, or measures all ten. speed also measures
other servers, with --peer NAME='COMMAND with {port}'.
--record as the last flag of bench or matrix writes the results to
docs/results/, the source of the figures in the notes.
END
}

# Runs the tests, then lists the ten slowest.
lab_test() {
    local preset=release which= tests=tests status=0 folder
    while [[ $# -gt 0 ]]; do
        case "$1 ${2-}" in
            '--all '*) which=-all ;;
            '--sanitize thread') preset=tsan && shift ;;
            '--sanitize address') preset=asan && shift ;;
            *) refuse "test takes --all, --sanitize thread and --sanitize address, got '$*'" ;;
        esac
        shift
    done
    [[ $preset$which != asan ]] || tests=tests_of_servers
    [[ $preset$which != tsan ]] || tests=tests_with_threads
    install build play read test
    build_targets $preset $tests
    [[ $preset$which != release-all ]] || build_targets debug tests # fails if a file lacks an include
    folder=$build/$preset
    run ctest --preset $preset$which --test-dir "$folder" --output-junit tests.xml || status=$?
    printf '\nThe slowest tests, in seconds:\n'
    sed -n 's/.*<testcase name="\([^"]*\)".* time="\([0-9.]*\)".*/\2 \1/p' "$folder/tests.xml" | sort -rn | sed -n 1,10p
    return $status
}

lab_soak() {
    local minutes=30 preset=release
    while [[ $# -gt 0 ]]; do
        case "$1 ${2-}" in
            '--sanitize thread') preset=tsan ;;
            '--sanitize address') preset=asan ;;
            *) [[ $1 == --minutes && ${2-} =~ ^[1-9][0-9]{0,3}$ ]] ||
                refuse "soak takes --minutes N and --sanitize thread or address, got '$*'" ;;
        esac
        [[ $1 != --minutes ]] || minutes=$2
        shift 2
    done
    need build
    build_targets "$preset" soak stage10_shutdown
    run "$build/$preset/bin/soak" --runs "$minutes" # of a minute each
}

# The stage is the number that is not the value of --part.
lab_attack() {
    need build attack
    local word before= stage=10 server
    for word; do
        [[ ! $word =~ ^[0-9]{1,2}$ || $before == --part ]] || stage=$word
        before=$word
    done
    server=$(stage_dir "$stage")
    build attack "$server"
    run "$bin/attack" "$@"
}

# keep FILE...: moves files into $results. It replaces a file completely or not at all, even if the build folder is on
# another disk.
keep() {
    local file
    for file; do
        cp "$file" "$results/${file##*/}.new" || { rm -f "$results/${file##*/}.new"; return 1; }
        run mv "$results/${file##*/}.new" "$results/${file##*/}"
        rm "$file"
    done
}

# measure NAME PROGRAM ARGUMENT...: builds $targets, runs the program and, if it succeeds, moves its rows and the
# pictures of NAME.gnuplot to $results. The last line of a picture names the rows that it shows.
measure() {
    local plot=docs/results/$1.gnuplot csv=$build/$1.csv svg=$build/$1.svg picture
    [[ $results != docs/results || ! -f $plot ]] || need build draw
    if [[ -f $plot ]] && ! command -v gnuplot >/dev/null; then
        echo 'gnuplot is not installed, so there will be no picture: ./lab setup build draw installs it'
        plot=
        rm -f "$results/$1"{,_*}.svg # their rows are replaced
    fi
    build "${targets[@]}"
    rm -f "$csv" "$build/$1"{,_*}.svg "$build/$1"_*.txt
    mkdir -p "$results"
    run "${@:2}" --csv "$csv"
    [[ -f $csv ]] || return 0 # --help measures nothing
    if [[ -n $plot && -f $plot ]]; then
        # gnuplot reads the rows through a shell, where a file name without a folder needs no quotes.
        (plot=$PWD/$plot && cd "$build" && run gnuplot -e "csv = '$1.csv'; svg = '$1.svg'" "$plot")
        rm -f "$results/$1"{,_*}.svg # their rows are replaced
        for picture in "$build/$1"{,_*}.svg; do
            [[ -f $picture ]] || continue
            echo "<!-- drawn from $1.csv, sha256 $(sha256sum <"$csv" | cut -d' ' -f1) -->" >>"$picture"
            keep "$picture"
        done
    fi
    for picture in "$build/$1"_*.txt; do
        [[ ! -f $picture ]] || keep "$picture"
    done
    keep "$csv"
}

lab_bench() {
    local name=speed row known program command= names=
    [[ $# -eq 0 || $1 == -* ]] || { name=$1 && shift; }
    for row in "${benches[@]}"; do
        IFS='|' read -r known program _ <<<"$row"
        [[ $known != "$name" ]] || command=$program
        names+=", $known"
    done
    [[ -n $command ]] || refuse "unknown bench '$name'; choose one of: ${names:2}"
    local targets=("measure_${name//-/_}")
    if [[ $name == timeline && ${1-} =~ ^[0-9]+$ ]]; then
        [[ $results != docs/results ]] || refuse "bench timeline --record takes no stage, got '$1'"
        targets=(timeline "$(stage_dir "$1")")
    fi
    [[ $name != timeline ]] || set -- "$@" --drawings "$build/timeline_stage" # for ./lab notes
    [[ ! $name =~ ^(speed|stage-costs|queues|maps)$ ]] || need build bench
    [[ ! $name =~ ^(queues|maps)$ ]] || rm -f "$build/release/build.ninja" # so that CMake searches for the libraries again
    measure "${name//-/_}" "$bin"/$command "$@" # unquoted: a program, and perhaps an argument
}

# Starts with the inputs in fuzz/corpus, and keeps those that reach new code in build/fuzz.
lab_fuzz() {
    local target=${1-} seconds=${3:-60} folder=$build/fuzz compiler
    [[ $target =~ ^(request|event|session)$ ]] ||
        refuse "unknown part '$target'; choose one of: request, event, session"
    [[ ${2---seconds} == --seconds && $seconds =~ ^[1-9][0-9]{0,5}$ && $# -le 3 && $# -ne 2 ]] ||
        refuse "fuzz takes a part and --seconds N, got '$*'"
    need build fuzz
    compiler=$(clang)
    CXX=$compiler build_targets fuzz "fuzz_$target"
    mkdir -p "$folder/corpus/$target"
    run "$folder/bin/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 \
        -artifact_prefix="$folder/" "$folder/corpus/$target" "fuzz/corpus/$target"
}

# The path of clang++, preferably of the version in dependencies.txt.
clang() {
    local package
    package=$(packages fuzz | grep '^clang')
    command -v "${package/clang/clang++}" || command -v clang++ || refuse 'please install clang, which contains libFuzzer'
}

# lint [PREFIX]: checks the C++ files whose path begins with PREFIX.
lab_lint() {
    local tidy reading files=$build/lint-files.txt log=$build/lint.log
    mkdir -p "$build"
    git ls-files '*.cpp' | prefix=${1-} awk 'index($0, ENVIRON["prefix"]) == 1' >"$files"
    [[ -s $files && $# -le 1 ]] || refuse "no C++ file has a path that begins with '$*'"
    need build lint
    tidy=$(packages lint | grep '^clang-tidy')
    command -v "run-$tidy" >/dev/null || refuse "please install" $(packages lint)
    run cppcheck --quiet --error-exitcode=1 --std=c++20 --enable=warning,performance,portability \
        --suppressions-list=.cppcheck -I . --file-list="$files"
    CXX=clang++-${tidy##*-} configure lint
    ninja -C "$build/lint" --quiet build.ninja >/dev/null # CMake runs again if a CMakeLists.txt has changed
    reading=("run-$tidy" -quiet -p "$build/lint" "^$(pattern "$PWD/")(?!build/)$(pattern "${1-}")")
    show "${reading[@]}"
    "${reading[@]}" &>"$log" || {
        grep -vE '^(\[ *[0-9]+/|Running clang-tidy)|warnings? (generated|treated)|^$' "$log"
        return 1
    }
    grep -q '\.cpp' "$log" || refuse "clang-tidy checked no file: see $log"
    echo 'clang-tidy and cppcheck found nothing'
}

# The rows of dependencies.txt, with the versions that dpkg has installed.
lab_versions() {
    local purpose package least rest
    [[ $# -eq 0 ]] || refuse "versions takes no argument, got '$*'"
    while read -r purpose package least rest; do
        printf '%-31s at least %-8s %s\n' "$package" "$least" "$(dpkg-query -W -f '${Version} ' ${package//|/ } || true)"
    done < <(grep '^[a-z]' dependencies.txt) 2>/dev/null
}

# Runs the tour and the tests of the last commit in a root directory with another Debian release, after the RUN lines
# of .devcontainer/Dockerfile.
lab_elsewhere() {
    local suite=${1-} root=$build/elsewhere/${1-} line with=
    [[ $suite =~ ^[a-z]+$ && ${2---clang} == --clang && $# -le 2 ]] ||
        refuse "elsewhere takes a release of Debian, such as trixie, and --clang, got '$*'"
    [[ $EUID -eq 0 ]] || refuse "elsewhere needs root, because it makes a root directory"
    need elsewhere
    mkdir -p "$build/elsewhere"
    if [[ ! -f $root/ready ]]; then
        rm -rf "$root"
        run debootstrap --variant=minbase "$suite" "$root" >"$root.log" || refuse "debootstrap failed: see $root.log"
        touch "$root/ready"
    fi
    rm -rf "$root/unfreeze"
    run git clone -q . "$root/unfreeze"
    while read -r line; do
        within "$root" "$line" >"$root.log" || refuse "'$line' failed: see $root.log"
    done < <(sed -n 's/^RUN //p' .devcontainer/Dockerfile)
    if [[ -n ${2-} ]]; then
        within "$root" '/unfreeze/lab setup fuzz' >"$root.log"
        with="export CXX=$(packages fuzz | sed -n 's/^clang/clang++/p'); "
    fi
    within "$root" "$with/unfreeze/lab tour"
    within "$root" "$with/unfreeze/lab test"
}

# within ROOT LINE: runs a shell line in a root directory, with the processes and devices of this machine.
within() {
    show chroot "$1" sh -c "$2"
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root unshare --mount sh -c 'mount -t proc proc "$0/proc" &&
        mount --rbind /dev "$0/dev" && cp /etc/resolv.conf /etc/hosts "$0/etc" &&
        exec chroot "$0" sh -c "$1"' "$1" "$2" </dev/null
}
