# Columns of ising.dat: T, then U and <|m|> for each size.
set terminal svg size 800,500
set output "ising.svg"
set xlabel "temperature T"
set ylabel "Binder cumulant U"
set y2label "magnetisation <|m|>"
set ytics nomirror
set y2tics
set y2range [0:1]
set key left bottom
set arrow from 2.269185, graph 0 to 2.269185, graph 1 nohead dashtype 2
set label " Onsager" at 2.269185, graph 0.95
plot "ising.dat" using 1:2 with linespoints title "U, size 16", \
     "" using 1:4 with linespoints title "U, size 48", \
     "" using 1:5 axes x1y2 with linespoints title "<|m|>, size 48"
