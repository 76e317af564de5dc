# make help: lines "target|what it does", in groups. `use` and `install` name the targets of the first two groups, in
# their order; all others follow in the order of the files.
BEGIN { FS = "|" }
{ does[$1] = $2; order[NR] = $1 }

function show(target) {
  printf "  %-16s %s\n", target, does[target]
  delete does[target]
}

function group(title, names, list, n, i) {
  print title
  n = split(names, list, " ")
  for (i = 1; i <= n; i++)
    if (list[i] in does) show(list[i])
  print ""
}

END {
  group("To use it", use)
  group("To install it, and to clean up", install)
  print "To work on it"
  for (i = 1; i <= NR; i++)
    if (order[i] in does) show(order[i])
}
