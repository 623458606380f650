# Lists the exercises of a note, one a line: NAME|TITLE|VARIANTS|CLAIMS|COMMAND. The variants are those that the answer
# runs, the claims are those after "Judged by", and the command is one in the task that measures more.
# NAME is the title in lower case, with a hyphen in place of all that is not a letter or a digit.

function print_last() {
    if (title != "") print name "|" title "|" variants "|" words_of(sentence(task)) "|" command(task)
    title = ""
}

function sentence(text) {
    return match(text, /Judged by [^.]*/) ? substr(text, RSTART, RLENGTH) : ""
}

# The words in backticks.
function words_of(text,   all) {
    while (match(text, /`[^`]*`/)) {
        all = all (all == "" ? "" : " ") substr(text, RSTART + 1, RLENGTH - 2)
        text = substr(text, RSTART + RLENGTH)
    }
    return all
}

function command(text) {
    return match(text, /`\.\/lab [^`]*`/) ? substr(text, RSTART + 1, RLENGTH - 2) : ""
}

function add_variants(text,   found) {
    while (match(text, /(--variant |stage[0-9][0-9]_variant_)[a-z0-9_-]+/)) {
        found = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        sub(/.*variant[ _]/, "", found)
        gsub(/_/, "-", found)
        if (index(" " variants " ", " " found " ") == 0) variants = variants (variants == "" ? "" : " ") found
    }
}

/^```/ { in_code = !in_code }
!in_code && /^## / { print_last(); in_exercises = $0 == "## Exercises" }
!in_exercises { next }
!in_code && /^### / {
    print_last()
    title = substr($0, 5)
    name = tolower(title)
    gsub(/[^a-z0-9]+/, "-", name)
    task = variants = folded = ""
    next
}
/^<details>/ { folded = $0 }
folded ~ /Answer/ { add_variants($0) }
folded == "" && !in_code { task = task $0 " " }
/^<\/details>/ { folded = "" }
END { print_last() }
