#!/bin/sh
# Installs what the tests need, builds everything and runs every test: unit tests, protocol models,
# wire tests beside the reference server, the unit and stress tests again under the sanitizers, and
# the fuzz targets over their corpus. A stage that can't be built counts as a failure and the rest
# goes on. The last line is "N passed, N failed"; the exit status says whether anything failed.
# Wire tests wait for most of their time, for disks and for what takes seconds: so those of each kind of server
# run side by side with the others, and with the unit tests. What needs nothing but a processor (the other trees,
# the models) is done behind all that, at a lower priority.
#
#     sh test/run.sh
#
# Logs of all stages stay in build/logs/. The random tests use the same
# seed in each run, so that a failure is one of the change; SEED=n tries another. SCALE=n makes random and stress
# tests n times as long: what a single run has no time for.

cd "$(dirname "$0")/.." || exit 1
. server/install.sh

TEST_PACKAGES="libcmocka-dev redis-tools python3 python3-pytest python3-redis spin
	clang"
SANITIZED="-Dallocator=system -Dbuildtype=debugoptimized -Db_lundef=false"
KINDS="reference,own sherd-1 sherd-2 sherd-5"	# of servers: the wire tests of each word run by themselves
UNIT_PATIENCE=20	# times meson's 30 seconds, for a unit test; under a sanitizer some take a minute alone
WIRE_MAX_S=1500		# a run of wire tests that hangs ends all the same, and has failed
FUZZ_RUNS=5000			# for each target, beyond its corpus: some seconds

# A report must end the process or change its exit status: both fail the test that meets it.
export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:exitcode=99"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1:exitcode=99"
export TSAN_OPTIONS="halt_on_error=0:exitcode=99:second_deadlock_stack=1:suppressions=$PWD/test/tsan.supp"
export PYTHONDONTWRITEBYTECODE=1
export SLOWNESS		# of the wire tests: multiplies their timeouts
export SCALE="${SCALE:-1}"

logs=build/logs
passed=0
failed=0
started=$(date +%s)

# Shown between stages, with the seconds since the start.
stage() {
	printf '\n== %s (at %d s)\n' "$1" $(($(date +%s) - started))
}

count() {
	passed=$((passed + $1))
	failed=$((failed + $2))
	echo "$1 passed, $2 failed"
}

finish() {
	printf '\n%d passed, %d failed\n' "$passed" "$failed"
	[ "$failed" = 0 ]
	exit
}

# tree <name> <directory> [meson options]: builds; whether that went well stands in a file, for built().
tree() {
	what=$1
	shift
	build_tree "$@" 2>"$logs/build-$what.log"
	echo $? >"$logs/build-$what.status"
}

# built <name>: waits for a tree; fails, and counts that, when it couldn't be built.
built() {
	while [ ! -s "$logs/build-$1.status" ] && kill -0 "$behind" 2>/dev/null; do
		sleep 0.2
	done
	[ "$(cat "$logs/build-$1.status" 2>/dev/null)" = 0 ] && return 0
	tail -n 40 "$logs/build-$1.log"
	echo "can't build: $1"
	count 0 1
	return 1
}

# What is done behind the tests, one after the other, of each tree what is needed; first what takes longest to run.
work_behind() {
	TARGETS="sherd thread_tests"
	tree tsan build-tsan $SANITIZED -Db_sanitize=thread
	TARGETS=
	tree asan build-asan $SANITIZED -Db_sanitize=address,undefined
	sh test/model/check.sh >"$logs/model.log" 2>&1
	echo $? >"$logs/model.status"
	if install_fuzzer; then
		export CC=clang
		TARGETS=fuzz_targets
		tree fuzz build-fuzz -Dfuzz=true $SANITIZED -Db_sanitize=address,undefined
	else
		cp "$logs/fuzzer.log" "$logs/build-fuzz.log"
	fi
}

# unit <name> <directory> [options]: meson's tests; counts what each program counts (TAP), or the program
# itself where it says nothing, and one more failure where it ended badly for no counted reason.
unit() {
	stage "unit tests: $1"
	unit=$1 log=$2/meson-logs/testlog.txt
	rm -f "$log"
	shift
	meson test -C "$@" --no-rebuild --timeout-multiplier "$UNIT_PATIENCE" >"$logs/unit-$unit.log" 2>&1
	counts=$(awk '
		function section_ends() {
			if (result != "" && result !~ /exit status (0|77)$/ && bad == 0)
				bad = 1
			if (result != "" && good + bad == 0)
				good = 1
			passed += good
			failed += bad
			good = bad = 0
			result = ""
		}
		/^=+ [0-9]+\/[0-9]+ =+$/ { section_ends() }
		/^result: / { result = $0 }
		/^ok [0-9]+/ { good++ }
		/^not ok [0-9]+/ { bad++ }
		/^Summary of Failures|^Ok: / { section_ends() }
		END { section_ends(); print passed + 0, failed + 0 }' "$log")
	case ${counts:-0 0} in
	"0 0") counts="0 1" ;;
	esac
	case $counts in
	*" 0") ;;
	*)
		cat "$logs/unit-$unit.log"
		sed -n '/^test: /h; /^not ok /,/^[^#n]/{x; /./p; s/.*//; x; p;}' "$log"
		grep -E -A 40 'ERROR: (Address|Leak)|WARNING: Thread|runtime error:' "$log" | head -n 200
		;;
	esac
	count $counts
}

# wire_begin <name> <sherd> [options]: starts pytest in the background, one of $wires; `wire_end` takes the result
# when these have ended.
wire_begin() {
	name=$1 sherd=$2
	shift 2
	rm -f "$logs/wire-$name.xml"
	SHERD=$sherd timeout "$WIRE_MAX_S" /usr/bin/python3 -m pytest -q --tb=short -p no:cacheprovider \
		--junitxml="$logs/wire-$name.xml" test/wire "$@" >"$logs/wire-$name.log" 2>&1 &
	wires="$wires $!"
}

wire_end() {
	echo "-- $1"
	tests=$(sed -n 's/.*<testsuite [^>]*errors="\([0-9]*\)" failures="\([0-9]*\)" skipped="\([0-9]*\)" tests="\([0-9]*\)".*/\1 \2 \3 \4/p' \
		"$logs/wire-$1.xml" 2>/dev/null)
	if [ -z "$tests" ]; then
		tail -n 40 "$logs/wire-$1.log"
		count 0 1
		return
	fi
	set -- "$1" $tests
	if [ "$(($2 + $3))" = 0 ]; then
		tail -n 1 "$logs/wire-$1.log"
	else
		tail -n 400 "$logs/wire-$1.log"
	fi
	count $(($5 - $4 - $3 - $2)) $(($2 + $3))
}

# All of the release build's tests.
release() {
	built release || return
	SLOWNESS=2 wires=
	for kind in $KINDS; do
		wire_begin "$kind" build/sherd --servers "$kind"
	done
	unit release build
	stage "wire tests"
	wait $wires
	for kind in $KINDS; do
		wire_end "$kind"
	done
}

# The unit and the stress tests under the sanitizers, the latter with one number of workers each, for time.
sanitized() {
	SLOWNESS=8 wires= trees=
	for pair in tsan:sherd-5 asan:sherd-2; do
		tree=${pair%:*}
		built "$tree" || continue
		trees="$trees $tree"
		wire_begin "$tree" "build-$tree/sherd" -m stress --servers "${pair#*:}"
	done
	for tree in $trees; do
		unit "$tree" "build-$tree" $([ "$tree" = asan ] || echo --suite threads)
	done
	models
	fuzz
	stage "wire tests: stress, under the sanitizers"
	wait $wires
	for tree in $trees; do
		wire_end "$tree"
	done
}

# check.sh has printed a line "ok ..." or "FAIL ..." for each check.
models() {
	stage "protocol models"
	wait "$behind"
	good=$(grep -c '^ok ' "$logs/model.log")
	bad=$(grep -c '^FAIL ' "$logs/model.log")
	[ "$(cat "$logs/model.status")" = 0 ] || [ "$bad" != 0 ] || bad=1
	[ "$bad" = 0 ] || cat "$logs/model.log"
	count "$good" "$bad"
}

# clang's libFuzzer comes in packages of different names.
install_fuzzer() {
	probe="int LLVMFuzzerTestOneInput(const char *d, long n) { return 0; }"
	for package in clang libclang-rt-dev libclang-rt-14-dev libclang-common-14-dev; do
		install_packages "$package" 2>"$logs/fuzzer.log" || continue
		echo "$probe" | clang -fsanitize=fuzzer,address -x c - -o "$logs/probe" 2>/dev/null &&
			return 0
	done
	cat "$logs/fuzzer.log"
	return 1
}

fuzz() {
	stage "fuzz targets"
	built fuzz || return
	targets= fuzzers=
	for target in build-fuzz/test/fuzz_*; do
		[ -f "$target" ] && [ -x "$target" ] || continue
		targets="$targets $(basename "$target")"
		fuzz_begin "$target" &
		fuzzers="$fuzzers $!"
	done
	[ -n "$targets" ] || { echo "no fuzz targets were built"; count 0 1; }
	wait $fuzzers
	for name in $targets; do
		fuzz_end "$name"
	done
}

# The corpus once, then a bounded number of new inputs; findings stay in the logs.
fuzz_begin() {
	name=$(basename "$1")
	corpus=test/fuzz/corpus/${name#fuzz_}
	mkdir -p "$logs/$name"
	"$1" -runs="$FUZZ_RUNS" -seed="$SEED" -artifact_prefix="$logs/$name-" \
		"$logs/$name" "$corpus" >"$logs/$name.log" 2>&1
	echo $? >"$logs/$name.status"
}

fuzz_end() {
	echo "-- $1, seed $SEED"
	[ "$(cat "$logs/$1.status")" = 0 ] && count 1 0 && return
	tail -n 40 "$logs/$1.log"
	count 0 1
}

mkdir -p build
if ! install_packages $BUILD_PACKAGES $TEST_PACKAGES; then
	count 0 1
	finish
fi
mkdir -p "$logs"
export SEED="${SEED:-20261121}"
echo "seed $SEED"

stage "build"
rm -f "$logs"/*.status
tree release build
work_behind &
behind=$!
renice -n 10 -p "$behind" >"$logs/renice.log" 2>&1
release
sanitized
finish
