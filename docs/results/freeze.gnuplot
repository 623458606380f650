# Draws what `./lab bench freeze` has measured: csv is the file to read, svg the one to write.
# Grey on nothing can be read on a white page and on a black one.
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
set xlabel "when it was asked, in seconds" textcolor rgb grey
set ylabel "until it was answered" textcolor rgb grey
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
set label 1 sprintf("%d clients are connected\nand say nothing", clients) \
    at middle, 12000 center textcolor rgb grey
set label 2 "stage 1, blocking:\nwho asks now waits\nuntil they leave" at middle, 120 center textcolor rgb red
set label 3 "stage 2, async:\nanswers as before" at middle, 1.8 center textcolor rgb green

plot "< grep ^1, ".csv using ($3 / 1000):4 with points linecolor rgb red pointtype 7 pointsize 0.45, \
     "< grep ^2, ".csv using ($3 / 1000):4 with points linecolor rgb green pointtype 5 pointsize 0.4
