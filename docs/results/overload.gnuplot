# Draws what `./lab bench --overload` has measured: csv is the file to read, svg the one to write.
# Grey on nothing can be read on a white page and on a black one.
set terminal svg size 720,720 font "sans-serif,14" dynamic
set output svg
set datafile separator ","
grey = "#808080"
set border 3 linecolor rgb grey
set tics nomirror textcolor rgb grey
set grid linecolor rgb grey linewidth 0.3 dashtype 3
set key textcolor rgb grey Left reverse
set xlabel "offered, as a multiple of what the server can do" textcolor rgb grey
set ylabel textcolor rgb grey
set logscale x
set xrange [0.45:11]
set xtics (0.5, 1, 2, 5, 10)
set lmargin 10
set style line 1 linecolor rgb "#2a9d8f" linewidth 2 pointtype 5 pointsize 0.6
set style line 2 linecolor rgb "#d1495b" linewidth 2 pointtype 7 pointsize 0.6
set style line 3 linecolor rgb "#e09f3e" linewidth 2 pointtype 9 pointsize 0.7
rows(server) = "< grep '^".server."' ".csv
final = rows("stage10_shutdown")
unbounded = rows("stage05_variant_unbounded_queue")
work_first = rows("stage04_state")

set multiplot layout 2,1
set ylabel "worked on in time, events a second"
set yrange [0:*]
set key center right
plot final using 2:10 with linespoints linestyle 1 title "the final server", \
     unbounded using 2:10 with linespoints linestyle 2 title "a queue without a bound", \
     work_first using 2:10 with linespoints linestyle 3 title "work in the request's path (stage 4)"
set ylabel "p99, from the moment when it was due"
set logscale y
set yrange [0.1:200000]
set ytics ("0.1 ms" 0.1, "1 ms" 1, "10 ms" 10, "100 ms" 100, "1 s" 1000, "10 s" 10000)
set key top left maxrows 3
plot final using 2:5 with linespoints linestyle 1 title "answered", \
     unbounded using 2:5 with linespoints linestyle 2 title "answered", \
     final using 2:9 with linespoints linestyle 1 dashtype 2 title "worked on", \
     unbounded using 2:9 with linespoints linestyle 2 dashtype 2 title "worked on", \
     work_first using 2:9 with linespoints linestyle 3 title "both in one"
