#!/usr/bin/env bash
# Tests ./lab in clones of the last commit with unusual paths. With 'exercises': applies each exercise's answer to such
# a clone, as a learner edits it, and lets the exercise judge it.
# Usage: places_test.sh [exercises]
set -euo pipefail
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
failed() {
    echo "FAILED: $*"
    exit 1
}

# A path that shells, CMake and regular expressions could misread, and Windows line ends.
place="$work/it's [1] + a copy"
git clone -q -c core.autocrlf=true . "$place"
cd "$place"
! grep -q $'\r' lab || failed "core.autocrlf gives lab Windows line ends"

# as_user COMMAND...: runs it as an ordinary user, even if root runs this test.
as_user() {
    if [[ $EUID -eq 0 ]]; then
        setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$work" "$@"
    else
        "$@"
    fi
}

if [[ ${1-} == exercises ]]; then
    judged=0
    for note in docs/stage*.md; do
        stage=$((10#${note:10:2}))
        while IFS='|' read -r name _ variants _; do
            for variant in $variants; do
                patch=$(compgen -G "stage$(printf %02d $stage)_*/variants/$variant.patch") ||
                    failed "stage $stage has no variant $variant"
                if grep -q ': no claim fails.$' "$patch"; then
                    sed -i '1s|^|// a comment\n\n|' "${patch%/variants/*}/server.cpp"
                    said=$(./lab exercise $stage "$name") && failed "exercise $stage $name accepts a comment"
                    [[ $said == 'Nothing has changed yet: '* ]] || failed "exercise $stage $name and a comment: $said"
                    git checkout -q .
                fi
                patch -p1 -s --fuzz=0 <"$patch"
                ./lab exercise $stage "$name" >"$work/verdict.txt" 2>&1 ||
                    failed "exercise $stage $name rejects $variant: $(tail -n 5 "$work/verdict.txt")"
                grep -q '^Solved' "$work/verdict.txt" || failed "exercise $stage $name: $(tail -n 5 "$work/verdict.txt")"
                echo "ok: exercise $stage $name, $variant: $(grep '^Solved' "$work/verdict.txt")"
                git checkout -q .
                judged=$((judged + 1))
            done
        done < <(LC_ALL=C awk -f lab.d/exercises.awk "$note")
    done
    [[ $judged -ge 25 ]] || failed "only $judged exercises were judged"
    [[ $(./lab) != *' 0 of '* ]] || failed "the progress lacks solved exercises: $(./lab)"
    exit
fi

[[ $EUID -ne 0 ]] || chown -R 65534:65534 "$work"
frozen='*ALIVE*20 netcats*FROZEN*have left*ALIVE*'

# An ordinary user without sudo builds a read-only checkout in another folder.
chmod -R a-w "$place"
export UNFREEZE_BUILD="$work/what's [built]"
said=$(as_user ./lab freeze 1 2>&1) || failed "a read-only checkout: $said"
[[ $said == $frozen ]] || failed "a read-only checkout: $said"
[[ ! -e build ]] || failed "UNFREEZE_BUILD: something was built in the checkout"
echo 'ok: a read-only checkout'

# The checkout and its build folder are copied and edited: lab rebuilds everything, and builds a variant from the last
# commit.
chmod -R u+w "$place"
mv "$UNFREEZE_BUILD" "$place/build"
unset UNFREEZE_BUILD
cp -a "$place" "$work/moved"
cd "$work/moved"
sed -i 's|#include <string_view>|& // edited|' stage01_blocking/server.cpp # the context of a variant's patch
said=$(as_user ./lab run 1 --help 2>&1) || failed "a copied build folder: $said"
[[ $said == *'it belongs to another compiler, folder or release'*'--port'* ]] || failed "a copied build folder: $said"
said=$(as_user ./lab run 1 --variant thread-per-client --help 2>&1) || failed "a variant beside an edit: $said"
[[ $said == *"'thread-per-client'"*stage01_blocking/server.cpp*'last commit'*'--port'* ]] || failed "a variant beside an edit: $said"
echo 'ok: a copied build folder, and a variant beside an edit'
