# Draws the rows of `./lab bench timeline`: reads the file csv, writes the file svg. If the rows are of several stages,
# svg has a small panel for each, and a larger picture of each goes to another file, such as timeline_stage05.svg.
# Grey on a transparent background is readable on white and on black pages.
set datafile separator ","
stages = system("awk -F, 'NR > 1 && !seen[$1]++ { print $1 }' ".csv)
names = "one_thread coroutines validation state backpressure workers contention sharding metrics shutdown"
grey = "#808080"
teal = "#2a9d8f"
purple = "#9b5de5"
blue = "#7f9fbf"
amber = "#e09f3e"
red = "#d1495b"

# The rows of a stage for which a condition of awk is true. $3 is the number of the request, $5 the time when it was
# sent, $6 when it ended, $7 the status, $8 when its work was done. One more row is outside of the picture, because
# gnuplot warns of a plot without rows.
rows(stage, condition) = "< awk -F, 'NR == 1 { print \"0,,-99,,-999,-999,,-999\" } $1 == ".stage." && ".condition."' ".csv
done = "$8 ~ /[0-9]/ && $8 > $6 + 20"  # in stage 4, the work is done before the response
lost = "$8 == \"never\""
answered(statuses) = "$7 ~ /^".statuses."/ && $2 == \"request\""
server(stage, field) = system("awk -F, '$1 == ".stage." && $2 == \"server\" { print $".field." / 1000 }' ".csv) + 0
y(request) = 31 - request
wide(from, to) = to - from < 110 ? from + 110 : to  # a fast response would be too narrow to see
bar = "using ($5 / 1000):(y($3)):($5 / 1000):(wide($5, $6) / 1000):(y($3) - 0.38):(y($3) + 0.38) with boxxyerror "
from_response_to(end) = "using ($6 / 1000):(y($3)):(".end." - $6 / 1000):(0) with vectors nohead linewidth 1.2 "
plot_stage = "plot \
    rows(stage, '$2 == \"pending\"') using ($5 / 1000):($3 / 3) with fillsteps linecolor rgb blue, \
    rows(stage, done) ".from_response_to("$8 / 1000")." linecolor rgb teal, \
    rows(stage, lost) ".from_response_to("server(stage, 6)")." linecolor rgb red, \
    rows(stage, answered('n')) ".bar." linecolor rgb grey, \
    rows(stage, answered('2')) ".bar." linecolor rgb teal, \
    rows(stage, answered('4')) ".bar." linecolor rgb purple, \
    rows(stage, answered('5')) ".bar." linecolor rgb amber, \
    rows(stage, done) using ($8 / 1000):(y($3)) with points pointtype 7 pointsize dot linecolor rgb teal, \
    rows(stage, lost) using (server(stage, 6)):(y($3)) with points pointtype 2 pointsize 1.8 * dot linewidth 1.8 linecolor rgb red"
count(stage, condition) = system("awk -F, '$1 == ".stage." && ".condition." { ++n } END { print n + 0 }' ".csv) + 0
most_pending(stage) = system("awk -F, '$1 == ".stage." && $2 == \"pending\" && $3 > n { n = $3 } END { print n + 0 }' ".csv)
mark_end = "signal = server(stage, 5); end = server(stage, 6); \
    set arrow 1 from signal, graph 0 to signal, graph 1 nohead dashtype 2 linecolor rgb grey; \
    set label 1 'SIGTERM' at signal + 0.08, graph 1.04 right textcolor rgb grey; \
    if (end > signal + 0.4) { \
        set arrow 2 from end, graph 0 to end, graph 1 nohead dashtype 2 linecolor rgb grey; \
        set label 2 'exit' at end, graph 1.04 left textcolor rgb grey } else { unset arrow 2; unset label 2 }; \
    set label 3 (stage >= 9 ? 'pending: up to '.most_pending(stage) : '') at 0.1, 5.5 textcolor rgb blue"

# The legend: symbol and words, colour, and the rows to which it applies.
array entries[7] = ["■ 200 or 202", "■ 400", "■ 503", "■ no response", "─ accepted, waits for its work", "● done", "× never done"]
colours = teal." ".purple." ".amber." ".grey." ".teal." ".teal." ".red
array conditions[7] = [answered("2"), answered("4"), answered("5"), answered("n"), "(".done." || ".lost.")", done, lost]

set border 1 linecolor rgb grey
set key off noautotitle
set style fill solid 1 noborder
set xrange [0:5.6]
set yrange [0:32]
set tics nomirror textcolor rgb grey
set xtics 1 scale 0.5 ("0" 0, "1" 1, "2" 2, "3" 3, "4" 4, "5 s" 5)
unset ytics

stem = svg[1:strlen(svg) - 4]
if (words(stages) > 1) {
    set terminal svg size 860,560 font "sans-serif,12" dynamic noenhanced name "Timelines"
    set output svg
    dot = 0.42
    at = 0.015
    do for [i = 1:7] {
        set label 10 + i entries[i] at screen at, screen 0.02 textcolor rgb word(colours, i)
        at = at + (strlen(entries[i]) + 5) / 134.0
    }
    set multiplot layout 2,5 margins 0.012,0.988,0.12,0.93 spacing 0.02,0.13
    do for [stage in stages] {
        set title stage.system("echo ' ".word(names, stage + 0)."' | tr _ ' '") textcolor rgb grey
        eval mark_end
        eval plot_stage
        do for [i = 1:7] { unset label 10 + i }
    }
    unset multiplot
    unset title
}

set terminal svg size 720,480 font "sans-serif,12" dynamic noenhanced name "Timeline"
dot = 0.6
set lmargin 8
set tmargin 2.5
set rmargin 29
set ytics scale 0 font 'sans-serif,11'
name_rows = ", rows(stage, '$2 == \"request\"') using (-1):(y($3)):ytic(4) with dots linecolor rgb grey"
do for [stage in stages] {
    set output words(stages) > 1 ? sprintf("%s_stage%02d.svg", stem, stage + 0) : svg
    down = 0.9
    do for [i = 1:7] {
        unset label 10 + i
        if (count(stage, conditions[i]) > 0) {
            set label 10 + i entries[i] at screen 0.73, screen down textcolor rgb word(colours, i)
            down = down - 0.06
        }
    }
    eval mark_end
    eval plot_stage.name_rows
}
