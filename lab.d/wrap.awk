# Wraps lines of text that are wider than `width` at a space: lowdown leaves some. Replaces the bar before code by
# spaces, so that code has more room and can be copied. Run it with LC_ALL=C.

# A text as it is on the screen, with one byte for each character.
function seen(text) {
    gsub(/\033\[[0-9;]*m|\033\]8;[^\033]*\033\\|[\200-\277]/, "", text)
    return text
}

{
    sub(/ +$/, "")
    if (sub(/^( |\033\[[0-9;]*m)*(\||\342\224\202) ?/, "    ")) {
        print
        next
    }
    match($0, /^ */)
    indent = substr($0, 1, RLENGTH)
    while (length(seen($0)) > width) {
        for (i = length($0); i > length(indent); --i) {
            if (substr($0, i, 1) == " " && length(seen(substr($0, 1, i - 1))) <= width) break
        }
        if (i <= length(indent)) break
        print substr($0, 1, i - 1)
        $0 = indent substr($0, i + 1)
    }
    print
}
