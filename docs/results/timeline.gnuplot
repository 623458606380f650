# Draws the rows of `./lab bench timeline`: reads the file csv, writes the file svg. If the rows are of several stages,
# svg has a small panel for each, and a larger picture of each goes to another file, such as timeline_stage05.svg.
# Grey on a transparent background is readable on white and on black pages.
set datafile separator ","
stages = system("awk -F, 'NR > 1 && !seen[$1]++ { print $1 }' ".csv)
names = "blocking async validation state backpressure workers contention sharding metrics shutdown"
grey = "#808080"
teal = "#2a9d8f"
blue = "#457b9d"
amber = "#e09f3e"
red = "#d1495b"

# The rows of a stage for which a condition of awk is true. $3 is the number of the request, $5 the time when it was
# sent, $6 when it ended, $7 the status, $8 when its work was done. One more row is outside of the picture, because
# gnuplot warns of a plot without rows.
rows(stage, condition) = "< awk -F, 'NR == 1 { print \"0,,-99,,-999,-999,,-999\" } $1 == ".stage." && ".condition."' ".csv
done = "$8 ~ /[0-9]/"
lost = "$8 == \"never\""
answered(statuses) = "$7 ~ /^".statuses."/ && $2 == \"request\""
server(stage, field) = system("awk -F, '$1 == ".stage." && $2 == \"server\" { print $".field." / 1000 }' ".csv) + 0
y(request) = 31 - request
wide(from, to) = to - from < 110 ? from + 110 : to  # a fast response would be too narrow to see
bar = "using ($5 / 1000):(y($3)):($5 / 1000):(wide($5, $6) / 1000):(y($3) - 0.38):(y($3) + 0.38) with boxxyerror "
from_response_to(end) = "using ($6 / 1000):(y($3)):(".end." - $6 / 1000):(0) with vectors nohead linewidth 1.2 "
plot_stage = "plot \
    rows(stage, '$2 == \"pending\"') using ($5 / 1000):($3 / 3) with fillsteps linecolor rgb grey, \
    rows(stage, done) ".from_response_to("$8 / 1000")." linecolor rgb teal, \
    rows(stage, lost) ".from_response_to("server(stage, 6)")." linecolor rgb red, \
    rows(stage, answered('n')) ".bar." linecolor rgb grey, \
    rows(stage, answered('2')) ".bar." linecolor rgb teal, \
    rows(stage, answered('4')) ".bar." linecolor rgb blue, \
    rows(stage, answered('5')) ".bar." linecolor rgb amber, \
    rows(stage, done) using ($8 / 1000):(y($3)) with points pointtype 7 pointsize dot linecolor rgb teal, \
    rows(stage, lost) using (server(stage, 6)):(y($3)) with points pointtype 2 pointsize 1.8 * dot linewidth 1.8 linecolor rgb red"
mark_signal = "signal = server(stage, 5); \
    set arrow 1 from signal, graph 0 to signal, graph 1 nohead dashtype 2 linecolor rgb grey; \
    set label 1 'SIGTERM' at signal, graph 1.04 center textcolor rgb grey; \
    set label 2 (stage >= 9 ? 'pending' : '') at 0.1, 5.5 textcolor rgb grey"

entries = "■_200_or_202 ■_400 ■_503 ■_no_response ─_waits_for_its_work ●_work_done ×_work_never_done"
colours = teal." ".blue." ".amber." ".grey." ".teal." ".teal." ".red
entry(i) = system("echo '".word(entries, i)."' | tr _ ' '")
draw_legend = "do for [i = 1:words(entries)] { \
    set label 10 + i entry(i) at screen across(i), screen down(i) textcolor rgb word(colours, i) }"

set border 1 linecolor rgb grey
set key off
set style fill solid 1 noborder
set xrange [0:5.6]
set yrange [0:32]
set tics nomirror textcolor rgb grey
set xtics 1 scale 0.5
unset ytics

stem = svg[1:strlen(svg) - 4]
if (words(stages) > 1) {
    set terminal svg size 860,560 font "sans-serif,12" dynamic noenhanced
    set output svg
    dot = 0.42
    array begins[8] = [0.015]
    do for [i = 1:words(entries)] { begins[i + 1] = begins[i] + (strlen(word(entries, i)) + 5) / 129.0 }
    across(i) = begins[i]
    down(i) = 0.02
    eval draw_legend
    set multiplot layout 2,5 margins 0.012,0.988,0.12,0.93 spacing 0.02,0.13
    do for [stage in stages] {
        set title stage." ".word(names, stage + 0) textcolor rgb grey
        eval mark_signal
        eval plot_stage
        do for [i = 1:words(entries)] { unset label 10 + i }
    }
    unset multiplot
    unset title
}

set terminal svg size 720,440 font "sans-serif,12" dynamic noenhanced
dot = 0.6
set lmargin 8
set tmargin 2.5
set rmargin 24
set xlabel "seconds" textcolor rgb grey
set ytics scale 0 font 'sans-serif,11'
across(i) = 0.78
down(i) = 0.9 - 0.065 * i
eval draw_legend
name_rows = ", rows(stage, '$2 == \"request\"') using (-1):(y($3)):ytic(4) with dots linecolor rgb grey"
do for [stage in stages] {
    set output words(stages) > 1 ? sprintf("%s_stage%02d.svg", stem, stage + 0) : svg
    eval mark_signal
    eval plot_stage.name_rows
}
