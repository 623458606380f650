# Prepares a note for the terminal. Moves folded hints and answers to the end, numbered, so that nobody sees them
# before looking for them, and drops comments and links to other notes. With a width, it also wraps long lines of code
# between words, and turns a table that is too wide into a list. Run it with LC_ALL=C.

# The number of characters of UTF-8 text.
function chars(text) {
    gsub(/[\200-\277]/, "", text)
    return length(text)
}

function emit(line) {
    if (part == "") print line
    else ending[part] = ending[part] line "\n"
}

# Begins a hint or an answer, and leaves its number in its place.
function fold(summary,   label) {
    part = summary == "Hint" ? "Hint" : "Answer"
    label = part " " ++count[part]
    if (summary == "Hint" || summary == "Answer") {
        print "*" label " is at the end.*"
        summary = task
    } else {
        print "**" summary "** *(" label " at the end)*"
    }
    emit("### " label ": " summary "\n")
}

# Text without the addresses of its links, except pictures and pages of the web.
function without_links(line,   done, link) {
    while (match(line, /\[[^]]*\]\([^):]*\)/)) {
        link = substr(line, RSTART, RLENGTH)
        if (RSTART == 1 || substr(line, RSTART - 1, 1) != "!") {
            sub(/^\[/, "", link)
            sub(/\]\([^)]*\)$/, "", link)
        }
        done = done substr(line, 1, RSTART - 1) link
        line = substr(line, RSTART + RLENGTH)
    }
    return done line
}

# Whether an apostrophe is open at the end of a line.
function in_quotes(head) {
    return head !~ / # / && gsub(/'/, "", head) % 2
}

# The characters of a line without the spaces at its end.
function chars_to_end(line) {
    sub(/ +$/, "", line)
    return chars(line)
}

# Where to break a line that is too wide for its room: between columns, or else between words. Breaks no quoted word of
# a command.
function break_of(line, room, is_command,   i, head, columns) {
    for (columns = is_command ? 0 : 1; columns >= 0; --columns) {
        for (i = length(line); i > columns * room / 2; --i) {
            head = substr(line, 1, i)
            if (head !~ (columns ? "   $" : " $") || chars_to_end(head) > room) continue
            if (!is_command || !in_quotes(head)) return i
        }
    }
    return 0
}

# Wraps a line of code, but no line of a picture, which has a box-drawing character. A command continues after a
# backslash, so that it can be copied.
function emit_code(line,   i, rest, indent, mark) {
    match(line, /^ */)
    indent = substr(line, 1, RLENGTH) "    "
    mark = line ~ /^ *\$ / ? " \\" : ""
    while (width && chars(line) > width - 10 && line !~ /\342\224/) {
        i = break_of(line, width - 10, mark != "")
        if (i <= length(indent)) break
        rest = substr(line, i + 1)
        line = substr(line, 1, i)
        sub(/ +$/, "", line)
        if (line ~ / # /) mark = ""
        emit(line mark)
        line = indent rest
    }
    emit(line)
}

function trim(text) {
    gsub(/^ +| +$/, "", text)
    return text
}

# Emits the table in row[1] to row[rows], whose second row is a ruler.
function emit_table(   r, c, n, cells, head, longest, wide) {
    for (r = 1; r <= rows; ++r) {
        n = split(row[r], cells, "|")
        for (c = 2; c < n; ++c) {
            if (chars(trim(cells[c])) > longest[c]) longest[c] = chars(trim(cells[c]))
        }
    }
    for (c in longest) wide += longest[c] + 3
    if (!width || wide + 4 <= width) {
        for (r = 1; r <= rows; ++r) emit(row[r])
    } else {
        split(row[1], head, "|")
        for (r = 3; r <= rows; ++r) {
            n = split(row[r], cells, "|")
            emit("**" trim(cells[2]) "**\n")
            for (c = 3; c < n; ++c) emit("- " (trim(head[c]) == "" ? "" : "*" trim(head[c]) "*: ") trim(cells[c]))
            emit("")
        }
    }
    rows = 0
}

rows && (in_code || !/^\|/) { emit_table() }
/^ *```/ { in_code = !in_code; emit($0); next }
in_code { emit_code($0); next }
/^\|/ { row[++rows] = without_links($0); next }
/^<!--.*-->$/ { next }
/^### / { task = substr($0, 5) }
/^<details><summary>.*<\/summary>$/ { gsub(/<[^>]*>/, ""); fold($0); next }
/^<\/details>/ { part = ""; next }
{ emit(without_links($0)) }
END {
    if (rows) emit_table()
    if (count["Hint"]) print "\n## Hints\n\n" ending["Hint"]
    if (count["Answer"]) print "\n## Answers\n\n" ending["Answer"]
}
