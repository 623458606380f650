# Prepares a note for the terminal. Moves folded hints and answers to the end, numbered, so that a reader sees
# them only on purpose. Drops comments, names the command that shows a linked page, and shows the text drawing of a
# picture that has one. With a width, it also wraps long lines of output between words, and turns a table that is too
# wide into a list. Run it with LC_ALL=C.

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

# Text without the addresses of its links, except pictures and pages of the web. A linked page that is no stage's note
# gets the command that shows it.
function without_links(line,   done, link, page) {
    while (match(line, /\[[^]]*\]\([^):]*\)/)) {
        link = substr(line, RSTART, RLENGTH)
        if (RSTART == 1 || substr(line, RSTART - 1, 1) != "!") {
            page = link ~ /\.md/ && link !~ /\]\([^)]*(stage[0-9]+|[A-Z]+)\.md/ ? link : ""
            sub(/^.*\]\(/, "", page)
            sub(/\.md.*$/, "", page)
            sub(/^.*\//, "", page)
            sub(/^\[/, "", link)
            sub(/\]\([^)]*\)$/, "", link)
            if (page != "") link = link " (`./lab notes " page "`)"
        }
        done = done substr(line, 1, RSTART - 1) link
        line = substr(line, RSTART + RLENGTH)
    }
    return done line
}

# Emits a line of text. A link may begin in it and end in the next one.
function emit_text(line,   more) {
    if (line ~ /\[[^]]*$|\]\([^)]*$/ && (getline more) > 0) {
        if (more == "") {
            emit(without_links(line))
            line = ""
        } else {
            sub(/^ +/, "", more)
            line = line " " more
        }
    }
    emit(without_links(line))
}

# The characters of a line without the spaces at its end.
function chars_to_end(line) {
    sub(/ +$/, "", line)
    return chars(line)
}

# Where to break a line that is too wide for its room: between columns, or else between words.
function break_of(line, room,   i, head, columns) {
    for (columns = 1; columns >= 0; --columns) {
        for (i = length(line); i > columns * room / 2; --i) {
            head = substr(line, 1, i)
            if (head ~ (columns ? "   $" : " $") && chars_to_end(head) <= room) return i
        }
    }
    return 0
}

# Wraps a line of output, but no line of a picture, which has a box-drawing character. Commands and C++ stay as they
# are, so that they can be copied.
function emit_code(line,   i, rest, indent) {
    match(line, /^ */)
    indent = substr(line, 1, RLENGTH) "    "
    if (line ~ /^ *\$ /) is_command = 1
    while (language == "console" && !is_command && width && chars(line) > width - 4 && line !~ /\342\224/) {
        i = break_of(line, width - 4)
        if (i <= length(indent)) break
        rest = substr(line, i + 1)
        line = substr(line, 1, i)
        sub(/ +$/, "", line)
        emit(line)
        line = indent rest
    }
    if (is_command) is_command = line ~ /\\$/
    emit(line)
}

# Emits the drawing that a picture was made from, the .txt beside its .svg, as code. Returns whether there is one.
function emit_drawing(picture,   file, line, lines) {
    sub(/^.*\]\(/, "", picture)
    sub(/\.svg\)$/, ".txt", picture)
    file = FILENAME
    sub(/[^\/]*$/, "", file)
    file = file picture
    while ((getline line < file) > 0) {
        if (!lines++) emit("```text")
        emit(line)
    }
    close(file)
    if (lines) emit("```")
    return lines
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
/^ *```/ { in_code = !in_code; language = $1; sub(/^```/, "", language); emit($0); next }
in_code { emit_code($0); next }
/^\|/ { row[++rows] = without_links($0); next }
/^<!--.*-->$/ { next }
/^!\[.*\]\(.*\.svg\)$/ && emit_drawing($0) { next }
/^### / { task = substr($0, 5) }
/^<details><summary>.*<\/summary>$/ { gsub(/<[^>]*>/, ""); fold($0); next }
/^<\/details>/ { part = ""; next }
{ emit_text($0) }
END {
    if (rows) emit_table()
    if (count["Hint"]) print "\n## Hints\n\n" ending["Hint"]
    if (count["Answer"]) print "\n## Answers\n\n" ending["Answer"]
}
