#!/usr/bin/env bash
# apply_patch.sh PATCH FOLDER: writes the files that PATCH names into FOLDER, as it changes them. A patch is made
# for the files of the last commit. Where it does not fit a file that was edited since, it is applied to those.
set -euo pipefail
source=$(dirname "$0")/..
patch=$1 folder=$2
name=$(basename "$patch" .patch)
mapfile -t files < <(sed -n 's|^+++ [^/]*/\([^[:space:]]*\).*|\1|p' "$patch")

edited() { cat "$source/$1"; }
committed() { git -C "$source" show "HEAD:./$1"; }

# applied_to COMMAND: the patch fits what the command prints of each file.
applied_to() {
    local file
    for file in "${files[@]}"; do
        mkdir -p "$folder/$(dirname "$file")"
        "$1" "$file" >"$folder/$file" || return
    done
    patch --quiet --fuzz=0 --no-backup-if-mismatch --reject-file=- --strip=1 --directory="$folder" --input="$patch"
}

if applied_to edited >/dev/null 2>&1; then
    exit
fi
if applied_to committed >/dev/null 2>&1; then
    echo "'$name' is made from the last commit: its patch does not fit your changed ${files[*]}"
    exit
fi
echo "'$name' can't be made: its patch does not fit ${files[*]}; take your changes back (git stash) to have it" >&2
exit 1
