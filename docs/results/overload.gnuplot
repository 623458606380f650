# Draws the rows of `./lab bench overload`: reads the file csv, writes the file svg.
# Grey on a transparent background is readable on white and on black pages.
set terminal svg size 720,720 font "sans-serif,14" dynamic
set output svg
set datafile separator ","
grey = "#808080"
set border 3 linecolor rgb grey
set tics nomirror textcolor rgb grey
set grid linecolor rgb grey linewidth 0.3 dashtype 3
set key off
set xlabel "offered load, as a multiple of the capacity" textcolor rgb grey
set ylabel textcolor rgb grey
set logscale x
set xrange [0.45:11]
set xtics (0.5, 1, 2, 5, 10)
set lmargin 10
green = "#2a9d8f"
red = "#d1495b"
orange = "#e09f3e"
set style line 1 linecolor rgb green linewidth 2 pointtype 5 pointsize 0.6
set style line 2 linecolor rgb red linewidth 2 pointtype 7 pointsize 0.6
set style line 3 linecolor rgb orange linewidth 6 pointtype 9 pointsize 0.1
rows(server) = "< grep '^".server."' ".csv
final = rows("stage10_shutdown")
unbounded = rows("stage05_variant_unbounded_queue")
work_first = rows("stage04_state")

# Two servers have the same curve, so one is a wide line beneath the other.
set multiplot layout 2,1
set ylabel "events done in time per second"
set yrange [0:*]
set label 1 "the final server" at 10, graph 0.9 right textcolor rgb green
set label 2 "an unbounded queue" at 10, graph 0.24 right textcolor rgb red
set label 3 "response after the work (stage 4)" at 10, graph 0.14 right textcolor rgb orange
plot final using 2:10 with linespoints linestyle 1, \
     work_first using 2:10 with linespoints linestyle 3, \
     unbounded using 2:10 with linespoints linestyle 2
set ylabel "p99, from the time when it was due"
set logscale y
set yrange [0.1:1000000]
set ytics ("0.1 ms" 0.1, "1 ms" 1, "10 ms" 10, "100 ms" 100, "1 s" 1000, "10 s" 10000, "100 s" 100000)
unset label
set label 1 "work done: an unbounded queue" at 0.5, 300000 textcolor rgb red
set label 2 "work done and response: response after the work (stage 4)" at 0.5, 80000 textcolor rgb orange
set label 3 "work done: the final server" at 10, 150 right textcolor rgb green
set label 4 "response: both servers with a queue" at 10, 8 right textcolor rgb grey
plot final using 2:5 with linespoints linestyle 1, \
     unbounded using 2:5 with linespoints linestyle 2, \
     work_first using 2:9 with linespoints linestyle 3, \
     unbounded using 2:9 with linespoints linestyle 2 dashtype 2, \
     final using 2:9 with linespoints linestyle 1 dashtype 2
