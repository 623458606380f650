#!/usr/bin/env bash
# hardened_test.sh PROGRAM: checks that the release preset's hardening flags took effect in the program.
set -euo pipefail
program=$1

# shows FLAGS SECTION PATTERN: a line that readelf prints for this section of the program matches.
shows() {
    local shown
    shown=$(readelf --wide "$2" "$program")
    grep -Eq "$3" <<<"$shown" || { echo "FAILED: $program does not look as if built with $1"; exit 1; }
    echo "ok: $1"
}

shows '-fPIE -pie' --file-header 'Type: +DYN '
shows '-fPIE -pie' --dynamic 'FLAGS_1.* PIE'
shows '-z relro' --program-headers 'GNU_RELRO'
shows '-z now' --dynamic 'BIND_NOW'
shows '-fstack-protector-strong' --dyn-syms ' __stack_chk_fail'
shows '_FORTIFY_SOURCE' --dyn-syms ' __[a-z]+_chk(@|$)'
