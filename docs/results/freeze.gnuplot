# Draws the rows of `./lab bench freeze`: reads the file csv, writes the file svg.
# Grey on a transparent background is readable on white and on black pages.
set terminal svg size 720,400 font "sans-serif,14" dynamic
set output svg
set datafile separator ","
set datafile missing ""
grey = "#808080"
red = "#d1495b"
green = "#2a9d8f"
set border 3 linecolor rgb grey
set tics nomirror textcolor rgb grey
set grid ytics linecolor rgb grey linewidth 0.3 dashtype 3
set key off
set xlabel "time sent (s)" textcolor rgb grey
set ylabel "response time" textcolor rgb grey
set xrange [0:6]
set xtics 1
set logscale y
set yrange [0.05:20000]
set ytics ("0.1 ms" 0.1, "1 ms" 1, "10 ms" 10, "100 ms" 100, "1 s" 1000)
set lmargin 10

stats "< grep ',[1-9][0-9]*,[0-9]*,' ".csv using 3 nooutput
from = STATS_min / 1000
to = (STATS_max + 50) / 1000
stats "< grep ',[1-9][0-9]*,[0-9]*,' ".csv using 2 nooutput
clients = STATS_max
set object 1 rectangle from from, graph 0 to to, graph 1 fillcolor rgb grey fillstyle solid 0.12 noborder
middle = (from + to) / 2
set label 1 sprintf("%d idle clients\nare connected", clients) \
    at middle, 12000 center textcolor rgb grey
set label 2 "stage 1, blocking:\na request waits until\nthe idle clients leave" at middle, 120 center textcolor rgb red
set label 3 "stage 2, async:\nnot affected" at middle, 1.8 center textcolor rgb green

plot "< grep ^1, ".csv using ($3 / 1000):4 with points linecolor rgb red pointtype 7 pointsize 0.45, \
     "< grep ^2, ".csv using ($3 / 1000):4 with points linecolor rgb green pointtype 5 pointsize 0.4
