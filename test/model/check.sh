#!/bin/sh
# Verifies the Spin models of this folder: check.sh [model ...] (default: all of them).
#
# A model's first comment lists its variants, one to a line that begins with " *  BROKEN_NAME:" or
# " *  GOOD_NAME:". The model as it stands and its GOOD variants must verify, with no error and the
# whole state space searched; in each BROKEN variant Spin must find an assertion violated or an
# end state that is none. Prints one line for each check, `ok <model> <variant>` or `FAIL <model>
# <variant>: <why>`; exits 0 if all are ok, 1 if one is not, 2 if the checks can't be run at all.
# Everything happens in a temporary directory, two checks at a time.
set -u

DEPTH=10000	# steps of a run; the deepest model needs some 200
MEMORY_MB=1000	# of one check; the largest model needs some 830

here=$(cd "$(dirname "$0")" && pwd) || exit 2
for tool in spin gcc; do
	command -v "$tool" >/dev/null || { echo "$0: $tool is missing" >&2; exit 2; }
done

if [ $# -eq 0 ]; then
	for file in "$here"/*.pml; do
		set -- "$@" "$(basename "$file" .pml)"
	done
fi
for model; do
	[ -f "$here/$model.pml" ] || { echo "$0: no model $model" >&2; exit 2; }
done

tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'kill $lanes 2>/dev/null; exit 2' HUP INT TERM
lanes=

# Says why the search that left its words in ./out was not a whole one; nothing if it was.
truncated() {
	grep -E -m 1 'search depth too small|Search not completed|out of memory|reached -DMEMLIM' out
	grep -q '^Full statespace search' out || echo 'no full search'
}

# verdict <variant>: reads ./out, what the search said; prints why it isn't as it must be.
verdict() {
	case $1 in
	BROKEN_*)
		if grep -q 'invalid array index' out; then
			echo 'an index out of its array, which is no answer'
		elif ! grep -Eq '^pan:1: (assertion violated|invalid end state)' out; then
			echo "no error found $(truncated)"
		fi ;;
	*)
		if ! grep -q 'errors: 0$' out; then
			grep -m 1 '^pan:1:' out || echo 'no verdict'
		else
			truncated
		fi ;;
	esac
}

# check <model> <variant>: prints the line and returns 0 if all is well.
check() {
	mkdir "$tmp/$1-$2" && cd "$tmp/$1-$2" || return 1
	case $2 in
	BROKEN_*) level=-O0 ;;	# found soon: compiling takes longer than searching
	*) level=-O2 ;;
	esac
	if ! spin -a "-D$2" "$here/$1.pml" >out 2>&1; then
		why="spin: $(grep -m 1 Error out)"
	elif ! gcc -w $level -DSAFETY -DMEMLIM=$MEMORY_MB -o pan pan.c >out 2>&1; then
		why="gcc: $(grep -m 1 error out)"
	else
		./pan -m$DEPTH >out 2>&1
		why=$(verdict "$2")
	fi
	cd "$tmp" && rm -rf "$tmp/$1-$2"
	if [ -n "$why" ]; then
		echo "FAIL $1 $2: $why"
		return 1
	fi
	echo "ok $1 $2"
}

# lane <number>: makes every second check; fails if one of them does.
lane() {
	failed=0
	while read -r model variant; do
		check "$model" "$variant" </dev/null || failed=1
	done <"$tmp/lane$1"
	return $failed
}

for model; do
	echo "$model good"
	sed -n "s/^ \*  \(\(BROKEN\|GOOD\)_[A-Z_]*\):.*/$model \1/p" "$here/$model.pml"
done >"$tmp/checks"
sed -n 'p;n' "$tmp/checks" >"$tmp/lane1"
sed -n 'n;p' "$tmp/checks" >"$tmp/lane2"

lane 1 & lanes=$!
lane 2 & lanes="$lanes $!"
status=0
for pid in $lanes; do
	wait "$pid" || status=1
done
exit $status
