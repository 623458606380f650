#!/usr/bin/env bash
# apply_patch.sh PATCH FOLDER: writes the files that PATCH names into FOLDER, as it changes them. It patches the
# files of the working tree. If the patch does not fit an edit there, it patches those of the last commit.
set -euo pipefail
source=$(dirname "$0")/..
patch=$1 folder=$2
name=$(basename "$patch" .patch)
mapfile -t files < <(sed -n 's|^+++ [^/]*/\([^[:space:]]*\).*|\1|p' "$patch")

edited() { cat "$source/$1"; }
committed() { git -C "$source" show "HEAD:./$1"; }

# applied_to COMMAND: writes each file as the command prints it, and patches it; fails if the patch does not fit.
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
    echo "'$name' takes ${files[*]} from the last commit, because its patch does not fit your edit"
    exit
fi
echo "can't build '$name': its patch fits neither your ${files[*]} nor the last commit's;" \
    "run 'git stash' to put your edits aside" >&2
exit 1
