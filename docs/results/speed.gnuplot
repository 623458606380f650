# Draws the rows of `./lab bench speed`: reads the file csv, writes the file svg. Each load has a group of
# bars with its own scale.
# Grey on a transparent background is readable on white and on black pages.
set datafile separator ","
loads = system("awk -F, 'NR > 1 && $3 != \"\" && !seen[$1]++ { print $1 }' ".csv)
if (words(loads) == 0) exit  # nothing but idle connections
servers = system("awk -F, 'NR > 1 && !seen[$2]++' ".csv." | wc -l") + 0
columns = words(loads) > 4 ? 4 : words(loads)  # more would not leave room for the figures
lines = (words(loads) + columns - 1) / columns
set terminal svg size 720,360 * lines font "sans-serif,14" dynamic noenhanced
set output svg
grey = "#808080"
set border 1 linecolor rgb grey
set key off
unset ytics
set xtics nomirror scale 0 rotate by 45 right textcolor rgb grey
set xrange [-0.6:servers - 0.4]
set yrange [0:*]
set offsets 0, 0, graph 0.08, 0
set boxwidth 0.8
set style fill solid 0.85 noborder
set linetype 1 linecolor rgb grey
set linetype 2 linecolor rgb "#e9c46a"
set linetype 3 linecolor rgb "#2a9d8f"
set linetype 4 linecolor rgb "#d1495b"
set linetype 5 linecolor rgb "#457b9d"
set linetype 6 linecolor rgb "#9b5de5"
set linetype cycle 6

set multiplot layout lines,columns margins 0.03,0.98,0.2 / lines,1 - 0.24 / lines spacing 0.04,0.4 / lines \
    title "CPU time of a request (µs)" textcolor rgb grey
do for [load in loads] {
    set title load textcolor rgb grey
    rows = "< grep ^".load.", ".csv
    plot rows using 0:3:($0 + 1):xtic(2) with boxes linecolor variable, \
         rows using 0:4:(0):($5 - $4) with vectors nohead linecolor rgb grey linewidth 1.5, \
         rows using 0:5:(sprintf($3 < 9.995 ? "%.2f" : "%.1f", $3)) with labels offset 0,0.7 textcolor rgb grey
}
