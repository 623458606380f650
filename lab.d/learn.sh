# The part of ./lab that guides a learner: notes, exercises and progress. ./lab includes it.

progress=$build/progress # a line for each command that has succeeded, such as "stress 5"

# record EVENT: keeps it. Other servers, variants and help texts do not count.
record() {
    [[ ! " ${arguments[*]}" =~ ' '(-h|--help|--variant|--sanitize|--spawn|--server) ]] || return 0
    is_done "$1" || { mkdir -p "$build" && echo "$1" >>"$progress"; } 2>/dev/null || true # a read-only folder
}

is_done() {
    grep -qxF -- "$1" "$progress" 2>/dev/null
}

# The next step of the course, as arguments of ./lab. Prints nothing at the end of the course.
next_step() {
    local n verb
    for n in $(stages); do
        for verb in notes diff stress; do
            [[ $n != 1 || $verb != diff ]] || continue
            [[ $n != 1 || $verb != stress ]] || verb=freeze
            is_done "$verb $n" || { echo "$verb $n" && return; }
        done
    done
    is_done 'notes beyond' || echo 'notes beyond'
}

lab_next() {
    local step
    [[ $# -eq 0 ]] || refuse "next takes no argument, got '$*'"
    step=$(next_step)
    [[ -n $step ]] || { where_you_are && return; }
    run ./lab $step
    step=$(next_step)
    echo "Next: ./lab ${step:-check, with your own server}"
}

# mark EVENT...: ✓ if one of them is recorded.
mark() {
    local event
    for event; do ! is_done "$event" || { echo ✓ && return; }; done
    echo -
}

# ./lab without arguments.
where_you_are() {
    local n name solved total step exercises=
    step=$(next_step)
    if [[ ! -s $progress ]]; then
        cat <<END
Welcome. This course is ten complete servers: the first one freezes, and each
later one fixes one problem.

  ./lab tour    builds and runs them all, and prints the results
  ./lab next    starts with the first note, and then goes on step by step
  ./lab help    lists the commands
END
        return
    fi
    echo 'stage              note  diff  run  load  exercises'
    for n in $(stages); do
        solved=0 total=0
        while IFS='|' read -r name _; do
            total=$((total + 1))
            ! is_done "exercise $n $name" || solved=$((solved + 1))
        done < <(exercises "$n")
        name=$(stage_dir "$n")
        printf '%2d %-16s%s     %s     %s    %s     %s of %s\n' "$n" "${name#*_}" "$(mark "notes $n")" \
            "$(mark "diff $n")" "$(mark "run $n")" "$(mark "freeze $n" "claims $n")" $solved $total
        [[ $solved -eq $total ]] || ! is_done "notes $n" || exercises=$n
    done
    printf '\nNext: ./lab %s\n' "${step:-check N, with your own server}${step:+     (./lab next runs it)}"
    [[ -z $exercises ]] || echo "The exercises of stage $exercises: ./lab exercise $exercises"
}

# A checksum of the names, sizes and times of the files in this directory, except those that tools write.
files_now() {
    find . \( -name .git -o -name build -o -name target -o -name node_modules -o -name __pycache__ \) -prune \
        -o -type f -printf '%p %s %T@\n' 2>/dev/null | sort | cksum
}

# watch N --spawn COMMAND: runs check after each change of a file, up to the first claim that fails, until all pass.
lab_watch() {
    local check files last status=1
    stage_dir "${1-}" >/dev/null
    last=$(stages | tail -n 1)
    [[ " $*" == *' --spawn'* ]] || refuse "watch needs --spawn, to start your server again after each change"
    build check
    check=$(realpath "$bin/check")
    cd "$OLDPWD" # the learner's files
    "$check" "$@" --stop --list >/dev/null # fails if a flag is wrong
    while :; do
        [[ ! -t 1 ]] || printf '\e[H\e[2J'
        files=$(files_now) status=0
        run "$check" "$@" --stop || status=$?
        [[ $status -ne 0 ]] || break
        echo "Waiting for a change of a file in $PWD (Ctrl+C ends)"
        while [[ $(files_now) == "$files" ]]; do sleep 0.5; done # files can only be polled without further packages
    done
    [[ $1 -eq $last ]] || echo "Then: ./lab watch $(($1 + 1)) --spawn ..."
}

# The exercises of a stage, as rows of exercises.awk.
exercises() {
    LC_ALL=C awk -f lab.d/exercises.awk "docs/$(stage_dir "$1" | cut -c1-7).md"
}

# exercise N lists the exercises of a stage. exercise N NAME judges the learner's change.
lab_exercise() {
    local stage_dir n rows row name title variants claims command
    stage_dir=$(stage_dir "${1-}")
    n=$((10#$1))
    [[ $# -le 2 ]] || refuse "exercise takes a stage and a name, got '$*'"
    rows=$(exercises "$n")
    if [[ $# -eq 1 ]]; then
        while IFS='|' read -r name title _; do
            printf '%s %s\n    ./lab exercise %s %s\n' "$(mark "exercise $n $name")" "$title" "$n" "$name"
        done <<<"$rows"
        echo "./lab notes $n has the tasks. ✓ is solved."
        return
    fi
    row=$(grep -F -- "$2|" <<<"$rows" | grep "^$(pattern "$2")|") ||
        refuse "stage $n has no exercise '$2'; choose one of: $(cut -d'|' -f1 <<<"$rows" | paste -sd, | sed 's/,/, /g')"
    IFS='|' read -r name title variants claims command <<<"$row"
    judge
    record "exercise $n $name"
    echo "Compare your change with the answer, at the end of ./lab notes $n"
}

# Tests the claims of stage $n, and fails unless the results change as with one of the answer's $variants. If no result
# is to change, it needs an edit besides comments, and names the figures or the measurement that tell the rest.
judge() {
    local variant goal goals=()
    for variant in $variants; do
        [[ -f $stage_dir/variants/$variant.patch ]] || continue
        goal=$(sed -n '1s/.*: //p' "$stage_dir/variants/$variant.patch" | grep -oE '`[a-z0-9-]+`' | tr -d '`' | paste -sd,) || true
        goals+=(--goal "${goal:-none}")
    done
    if [[ ${goals[*]} == *none* ]] && ! is_edited "$stage_dir" $(headers_of "$stage_dir/server.cpp" | xargs -n1 dirname); then
        echo "Nothing has changed yet: the server of stage $n is as in the last commit"
        return 1
    fi
    build matrix "$stage_dir"
    announce_claims
    run "$bin/matrix" --stage "$n" "${goals[@]}" --json "$build/exercise.json" | tee "$build/exercise.txt"
    [[ $(tail -n 1 "$build/exercise.txt") == 'No result changed'* ]] || return 0
    [[ -n $command ]] || command=$(compare_ratios docs/results/matrix.json "$build/exercise.json")
    echo "Solved, as far as the claims can tell. What decides: $command"
}

# is_edited FOLDER...: whether more than comments differ from the last commit. Without git, it can't tell.
is_edited() {
    git rev-parse HEAD &>/dev/null || return 0
    [[ -n $(git diff -w HEAD -- "$@" | grep '^[-+]' | grep -vE '^(---|\+\+\+) |^[-+][[:space:]]*(//.*)?$') ]]
}

# compare_ratios BEFORE AFTER: says how the ratios of $claims in stage $n changed. A tenth is noise, and more is not.
compare_ratios() {
    awk -F'"' -v stage="\"stage\":$n," -v claims=" $claims " '
        index(claims, " " $4 " ") && index($0, stage) && match($0, /"summary":"[0-9.]+x"/) {
            ratio = substr($0, RSTART + 11, RLENGTH - 12)
            if (FNR == NR) before[$4] = ratio
            else {
                same = ratio / before[$4] > 0.87 && ratio / before[$4] < 1.15
                text = text (text == "" ? "" : ", and ") "`" $4 "` " \
                    (same ? "is still " ratio : "changed from " before[$4] " to " ratio)
            }
        }
        END { print text "." }' "$1" "$2"
}

# variants N [--answers]: lists the variants of a stage, each with the first line of its patch, a sentence.
lab_variants() {
    local stage_dir name answers hidden=0
    [[ $# -le 1 || ($# -eq 2 && $2 == --answers) ]] || refuse "variants takes one stage and --answers, got '$*'"
    stage_dir=$(stage_dir "${1-}")
    answers=$(exercises "$1" | cut -d'|' -f3)
    for name in $(variant_names "$stage_dir"); do
        if [[ $# -eq 1 ]] && grep -qxF -- "$name" <<<"${answers// /$'\n'}"; then
            hidden=$((hidden + 1))
        else
            printf '%s\n    %s\n' "$name" "$(head -n 1 "$stage_dir/variants/$name.patch")"
        fi
    done
    [[ $hidden -eq 0 ]] || echo "Answers of exercises: $hidden more, which ./lab variants $1 --answers lists"
}

# notes N shows the note of a stage, and notes NAME another page.
lab_notes() {
    local file text event columns=80 style=(--term-no-ansi) pager=cat
    [[ $# -gt 0 ]] || { list_notes && return; }
    [[ $# -eq 1 ]] || refuse "notes takes one stage or one name, got '$*'"
    if [[ $1 =~ ^[0-9]*$ ]]; then
        file=$(stage_dir "$1")
        file=docs/${file:0:7}.md event="notes $((10#$1))"
    else
        file=$([[ $1 =~ ^[a-z0-9-]+$ ]] && compgen -G "docs/$1.md" || compgen -G "docs/d*/$1.md") ||
            refuse "there is no note '$1' (./lab notes lists them)"
        event="notes $1"
    fi
    if [[ -t 1 ]]; then
        pager=${PAGER:-less}
        command -v "${pager%% *}" >/dev/null || pager=cat
        columns=$(stty size 2>/dev/null </dev/tty | cut -d' ' -f2) || true
        [[ ${columns:-0} -gt 0 ]] || columns=80
        [[ $columns -le 100 ]] || columns=100
        [[ -n ${NO_COLOR-} ]] || style=()
    fi
    if command -v lowdown >/dev/null; then
        text=$(LC_ALL=C awk -v width="$columns" -f lab.d/terminal.awk "$file" |
            lowdown -t term --out-no-smarty --term-columns="$columns" --term-width=$((columns - 4)) "${style[@]}" |
            LC_ALL=C awk -v width="$columns" -f lab.d/wrap.awk)
    else
        text=$(LC_ALL=C awk -f lab.d/terminal.awk "$file")
    fi
    LESS=${LESS-R} LESSCHARSET=utf-8 $pager <<<"$text" # unquoted: a pager may come with flags
    command -v lowdown >/dev/null || echo "lab: to see the notes without the marks of Markdown, install the package lowdown: ./lab setup" >&2
    record "$event"
}

# Lists the pages that notes can show, with their titles.
list_notes() {
    local file name indent
    indent=$(printf '%27s' '')
    echo "./lab notes NAME shows one of these:"
    for file in docs/stage*.md $(ls docs/*.md docs/d*/*.md | grep -v docs/stage); do
        name=$(basename "$file" .md)
        [[ ! $name =~ ^stage([0-9]{2})$ ]] || name=$((10#${BASH_REMATCH[1]}))
        printf '  %-24s %s\n' "$name" "$(sed -n '1s/^# //p' "$file" | fold -s -w 53 | sed "2,\$s/^/$indent/")"
    done
}
