# Draws the rows of `./lab bench contention`: reads the file csv, writes the file svg.
# Grey on a transparent background is readable on white and on black pages.
set terminal svg size 720,640 font "sans-serif,14" dynamic
set output svg
set datafile separator ","
grey = "#808080"
set border 3 linecolor rgb grey
set tics nomirror textcolor rgb grey
set grid linecolor rgb grey linewidth 0.3 dashtype 3
set key top left textcolor rgb grey Left reverse
set xlabel textcolor rgb grey
set ylabel textcolor rgb grey
set xrange [0:66]
set samples 661
set lmargin 9
set xtics (1, 4, 8, 11, 16, 32, 64)
set style line 1 linecolor rgb "#d1495b" linewidth 2 pointtype 7 pointsize 0.6
set style line 2 linecolor rgb "#2a9d8f" linewidth 2 pointtype 5 pointsize 0.6

stats csv every ::1 using 3 nooutput
work_ms = STATS_max
stats csv every ::1 using 4 nooutput
hold_ms = STATS_max
sharded(workers) = workers / (work_ms + hold_ms) * 1000
locked(workers) = sharded(workers) < 1000 / hold_ms ? sharded(workers) : 1000 / hold_ms

set multiplot layout 2,1
set xlabel "workers"
set ylabel "jobs a second"
set yrange [0:*]
plot sharded(x) notitle dashtype 2 linecolor rgb grey linewidth 1.5, \
     locked(x) title sprintf("the model: workers / %.0f ms, with one lock at most 1 / %.0f ms", \
                         work_ms + hold_ms, hold_ms) dashtype 2 linecolor rgb grey linewidth 1.5, \
     "< grep ^shards, ".csv using 2:5 with linespoints linestyle 2 title "64 locks (stage 8)", \
     "< grep ^lock, ".csv using 2:5 with linespoints linestyle 1 title "one lock (stage 7)"
set ylabel "mean wait for the lock (ms)"
plot "< grep ^shards, ".csv using 2:7 with linespoints linestyle 2 title "64 locks (stage 8)", \
     "< grep ^lock, ".csv using 2:7 with linespoints linestyle 1 title "one lock (stage 7)"
