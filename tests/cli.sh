#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every verb of bpfmeasure, good input and bad, on logs without kernel or TPM, against sqlite3 and jq over
# the same database. Prints a line for each test; ends with "N passed, N failed, N skipped".
#
# BPFMEASURE  the program (default build/bpfmeasure): another build of it, with ASan for example
set -u
cd "$(dirname "$0")/.." || exit 1
bpfmeasure=$(realpath "${BPFMEASURE:-${O:-build}/bpfmeasure}") || exit 1
unset BPFMEASURE BPFMEASURE_DB BPFMEASURE_SOCKET NO_COLOR
export TZ=UTC0 LC_ALL=C.UTF-8 TERM=xterm

dir=$(mktemp -d) || exit 1
chmod 755 "$dir"
passed=0 failed=0 server=

finish()
{
	[ -n "$server" ] && kill "$server"
	rm -rf "$dir"
}
trap finish EXIT

ok()
{
	echo "ok $1"
	passed=$((passed + 1))
}

fail()
{
	echo "FAIL $1: $(tr '\n' ' ' <<<"$2" | cut -c1-300)"
	failed=$((failed + 1))
}

# same NAME EXPECTED FOUND
same()
{
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "\"$3\" instead of \"$2\""; fi
}

# contains NAME TEXT PART
contains()
{
	case $2 in *"$3"*) ok "$1" ;; *) fail "$1" "no \"$3\" in \"$2\"" ;; esac
}

# run COMMAND...: stdout, stderr and code of bpfmeasure
run()
{
	"$bpfmeasure" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	code=$?
	out=$(tr -d '\0' <"$dir/out")
	err=$(tr -d '\0' <"$dir/err")
}

# refuses NAME CODE PART COMMAND...: nothing on stdout, one line on stderr with PART in it
refuses()
{
	local name=$1 expected=$2 part=$3
	shift 3
	run "$@"
	if [ "$code" != "$expected" ]; then
		fail "$name" "exit $code instead of $expected: $err"
	elif [ -s "$dir/out" ] || [ "$(wc -l <"$dir/err")" != 1 ]; then
		fail "$name" "not one line on stderr alone: $out | $err"
	else
		contains "$name" "$err" "$part"
	fi
}

# accepts NAME COMMAND...: exit 0, nothing on stderr
accepts()
{
	local name=$1
	shift
	run "$@"
	if [ "$code" = 0 ] && [ -z "$err" ]; then ok "$name"; else fail "$name" "exit $code: $err"; fi
}

# ---- the pieces ----

# CC may be several words.
read -ra cc <<<"${CC:-cc}"
if ! command -v "${cc[0]}" >/dev/null ||
	! "${cc[@]}" -std=gnu2x -D_GNU_SOURCE -I. -O1 -o "$dir/make-log" tests/tools/make-log.c attest/evidence.c bpf/bank.c \
		bpf/line_*.c bpf/record*.c db/*.c -lcrypto -lsqlite3 ||
	! "${cc[@]}" -std=gnu2x -D_GNU_SOURCE -I. -O1 -o "$dir/fake-measurer" tests/tools/fake-measurer.c \
		attest/{merkle,evidence,tpms,ak,replay,diagnose,quoted,verify,verify_after,verify_kept,verify_log}.c bpf/bank.c \
		bpf/line_*.c bpf/record*.c -lcrypto ||
	! "${cc[@]}" -std=gnu2x -D_GNU_SOURCE -I. -O1 -o "$dir/make-history" tests/tools/make-history.c \
		attest/{merkle,evidence,tpms,ak,replay,diagnose,quoted,verify,verify_after,verify_kept,verify_log}.c bpf/bank.c \
		bpf/line_*.c bpf/record*.c db/*.c -lcrypto -lsqlite3; then
	echo "FAIL tools: do not build"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi

log=$dir/log.db
"$dir/make-log" "$log" 1500
lines=$dir/lines # the oracle's
sqlite3 "$log" 'SELECT CAST(line AS TEXT) FROM record ORDER BY seq' >"$lines"
last=$(wc -l <"$lines")
export BPFMEASURE_DB=$log

seqs()
{
	jq -r "select($1) | .seq" "$lines"
}

# ---- the program ----

accepts 'help' --help
same '--help fits a screen' "fits" "$([ "$(wc -l <"$dir/out")" -le 24 ] && [ "$(wc -L <"$dir/out")" -le 80 ] && echo fits)"
for verb in status log show query report quote verify attest ack reference audit enroll; do
	contains "help names $verb" "$("$bpfmeasure" --help)" "  $verb "
	accepts "$verb --help" $verb --help
	contains "$verb --help has an example" "$out" 'example: bpfmeasure'
	if [ "$(wc -l <"$dir/out")" -le 24 ] && [ "$(wc -L <"$dir/out")" -le 80 ]; then
		ok "$verb --help fits a screen"
	else
		fail "$verb --help fits a screen" "$(wc -l <"$dir/out") lines"
	fi
	refuses "$verb --frobnicate" 2 frobnicate $verb --frobnicate
done
refuses '--completion of another shell' 2 'bash, zsh or machines' --completion fish
refuses '--completion of nothing' 2 'bash, zsh or machines' --completion
refuses 'attest: no machine' 2 'needs a machine' attest
refuses 'attest: what no machine is called' 2 "no machine's name" attest $'web\xff'
refuses 'attest --parallel 0' 2 'from 1 to' attest web-07 --parallel 0
refuses 'ack: no machine' 2 'needs one machine' ack
refuses 'ack --seq junk' 2 "a record's number" ack web-07 --seq 1x
refuses 'ack: only why' 2 'what is acknowledged' ack web-07 --comment x
refuses 'attest: an empty memory' 3 "no machine is enrolled in $dir/nobody.db" attest --all --db "$dir/nobody.db"
refuses 'ack: not enrolled' 3 'web-07 is not enrolled' ack web-07 --db "$dir/verifier.db"
refuses 'ack: no memory there' 3 "memory $dir/nowhere/verifier.db: No such file" ack web-07 --db "$dir/nowhere/verifier.db"
refuses 'verify --binding short' 2 '64 hexadecimal' verify /dev/null --ak /dev/null --binding abc
run attest web-07 --db "$dir/verifier.db"
same 'attest: not enrolled' 3 $code
contains 'attest: how to enrol' "$out" 'bpfmeasure enroll web-07'
echo 'no memory' >"$dir/scrawl.db"
timeout 20 "$bpfmeasure" attest web-07 --watch 1 --db "$dir/scrawl.db" >"$dir/out" 2>"$dir/err"
same 'attest --watch: a damaged memory ends it' 3 $?
same 'attest --watch: what is wrong and what to do is said once' \
	"bpfmeasure attest: the verifier's memory $dir/scrawl.db: file is not a database - put a copy of it back, or move it away and enroll the machines anew" \
	"$(cat "$dir/err")"
accepts '--version' --version
contains '--version' "$out" 'bpfmeasure 0.'
refuses 'no verb' 2 'verb is missing'
refuses 'unknown verb' 2 frobnicate frobnicate
refuses 'unknown option' 2 '--frobnicate' --frobnicate
refuses 'empty verb' 2 'no verb' ''
for verb in log status quote; do
	refuses "$verb takes no argument" 2 surplus $verb surplus
done
for options in '' --json --tree '--last 1'; do
	# shellcheck disable=SC2086
	"$bpfmeasure" log $options >/dev/full 2>"$dir/err"
	same "log $options: a full disk is exit 3" 3 $?
	contains "log $options: a full disk is said" "$(cat "$dir/err")" 'stdout: '
	same "log $options: a full disk is one line" 1 "$(grep -vc newest "$dir/err")"
done

# ---- opening ----

for verb in 'log' 'show 1' 'query SELECT+1'; do
	# shellcheck disable=SC2086
	set -- $verb
	set -- "${@//+/ }"
	refuses "$1: no log" 3 'there is no log at' "$@" --db "$dir/none.db"
	refuses "$1: a directory" 3 '' "$@" --db "$dir"
	refuses "$1: not a database" 3 '' "$@" --db "$lines"
	refuses "$1: no path" 3 '' "$@" --db ''
done
sqlite3 "$dir/other.db" 'CREATE TABLE x(y)'
refuses 'another database' 3 'not a log' log --db "$dir/other.db"
BPFMEASURE_DB=$dir/none.db refuses 'the environment names the log' 3 "$dir/none.db" log
BPFMEASURE_DB=$dir/none.db accepts '--db wins over the environment' log --db "$log" --last 1
cp "$bpfmeasure" "$dir/bpfmeasure"
setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/bpfmeasure" log --db "$log" \
	>"$dir/out" 2>"$dir/err"
same 'no permission is exit 3' 3 $?
contains 'no permission: what to do' "$(cat "$dir/err")" 'group bpfmeasure'

# ---- log ----

"$bpfmeasure" log --json >"$dir/out"
if cmp -s "$dir/out" "$lines"; then ok 'log --json is the lines'; else fail 'log --json is the lines' differs; fi

# selects NAME JQ-CONDITION OPTION...
selects()
{
	local name=$1 condition=$2
	shift 2
	"$bpfmeasure" log --json "$@" | jq .seq >"$dir/found"
	seqs "$condition" >"$dir/expected"
	if ! cmp -s "$dir/expected" "$dir/found"; then
		fail "$name" "$(wc -l <"$dir/found") records instead of $(wc -l <"$dir/expected")"
	elif [ ! -s "$dir/expected" ]; then
		fail "$name" 'tests nothing'
	else
		ok "$name"
	fi
}

for kind in epoch resume foreign start stop baseline load integrity reject attach detach unload lost trim; do
	selects "log --kind $kind" ".kind == \"$kind\"" --kind $kind
done
for verdict in verified unsigned unknown; do
	selects "log --verdict $verdict" ".signature.verdict? == \"$verdict\"" --verdict $verdict
done
selects 'log --name' '.program.name? == "xdp_pass"' --name xdp_pass
selects 'log --name GLOB' '.program.name? // "" | startswith("sd_")' --name 'sd_*'
selects 'log --name GLOB of everything' '.program.name? // null != null' --name '*'
selects 'log --name [set]' '.program.name? // "" | test("^[hx].*_.")' --name '[hx]*_?*'
selects 'log --name with what SQL, globs and JSON escape' '.program.name? == "a'\''b%_*\\xff"' \
	--name "a'b%_[*]\\xff"
selects 'log --type' '.program.type? == "kprobe"' --type kprobe
selects 'log --type GLOB' '.program.type? // "" | startswith("cgroup")' --type 'cgroup_*'
selects 'log --loader COMM' '(.loader // .by // {}).comm == "ThreadPool (7)"' --loader 'ThreadPool (7)'
selects 'log --loader EXE' '(.loader // .by // {}).exe // "" | endswith("/bpftool")' --loader bpftool
selects 'log --loader thread or executable' \
	'(.loader // .by // {}) | (.exe // "" | endswith("/systemd")) or .comm == "systemd"' --loader systemd
selects 'log --loader PATH' '(.loader // .by // {}).exe // "" | startswith("/usr/")' --loader '/usr/*'
selects 'log --loader quote' '(.loader // .by // {}).exe // "" | contains("it'\''s a")' --loader "it's a*"
selects 'log --since' '.time >= "2026-06-01T01:00:03"' --since 2026-06-01T01:00:03Z
selects 'log --until' '.time <= "2026-06-01T01:00:04"' --until '2026-06-01T01:00:04.0Z'
selects 'log --since is inclusive' '.seq >= 500' --since 2026-06-01T00:58:20.0000005Z
selects 'log --until is inclusive' '.seq <= 500' --until 2026-06-01T00:58:20.0000005Z
TZ=XXX-2 selects 'log --since local' '.time >= "2026-06-01T01:00:03"' --since '2026-06-01 03:00:03'
TZ=XXX+4 selects 'log --since minutes' '.time >= "2026-06-01T01:02:00"' --since '2026-05-31 21:02'
selects 'log --since day' '.seq > 0' --since 2026-06-01
selects 'log filters are and' \
	'.kind == "load" and .signature.verdict == "unsigned" and .program.name == "handle_exit" and
	 (.loader.exe? // "" | endswith("bpftool")) and .time > "2026-06-01T01"' \
	--kind load --verdict unsigned --name handle_exit --loader bpftool --since 2026-06-01T01:00:00Z
selects 'log --last' ".seq > $last - 7" --last 7
selects 'log --last 0 is all' 'true' --last 0
selects 'log --last more than there are' 'true' --last 18446744073709551615
same 'log --last N of a filter' "$(seqs '.kind == "lost"' | tail -3)" \
	"$("$bpfmeasure" log --json --kind lost --last 3 | jq .seq)"
run log --json --name nosuch
same 'log finds nothing' '0::' "$code:$out:$err"

# One record every 7 s, number 501 the first of the last hour.
"$dir/make-log" "$dir/now.db" 900 $(($(date +%s) - 3600 - 500 * 7 - 3))
same 'log --since -1h' 501 "$("$bpfmeasure" log --json --db "$dir/now.db" --since -1h | jq .seq | head -1)"
same 'log --until -60m' 500 "$("$bpfmeasure" log --json --db "$dir/now.db" --until -60m | jq .seq | tail -1)"

refuses 'log --since junk' 2 'is no time' log --since yesterday
refuses 'log --until junk' 2 'is no time' log --until 2026-02-30
refuses 'log --since without value' 2 since log --since
refuses 'log --kind junk' 2 'no kind' log --kind loads
refuses 'log --verdict junk' 2 'none of' log --verdict good
refuses 'log --last junk' 2 'no number' log --last -1
refuses 'log --last too large' 2 'no number' log --last 18446744073709551616
refuses 'log --before with others' 2 'with --json, --utc and --db alone' log --before --last 1
refuses 'log --tree --json' 2 'without --json' log --tree --json
refuses 'log --tree --follow' 2 'without --json and --follow' log --tree --follow
refuses 'log --json=yes' 2 json log --json=yes

# tables
run log
same 'log: the newest 1000' 1001 "$(wc -l <"$dir/out")"
contains 'log says what it leaves out' "$err" '--last 0'
run log --last 0
same 'log --last 0: a line for each record' $((last + 1)) "$(wc -l <"$dir/out")"
same 'log: the records in order' "$(seqs true)" "$(tail -n +2 "$dir/out" | awk '{ print $1 }')"
same 'log: the kinds' "$(jq -r .kind "$lines")" "$(tail -n +2 "$dir/out" | awk '{ print $5 }')"
same 'log: the verdicts' "$(seqs '.signature.verdict? == "verified"')" \
	"$(grep ' verified ' "$dir/out" | awk '{ print $1 }')"
same 'log: a heading once' 1 "$(grep -c 'VERDICT  *LOADER' "$dir/out")"
run log --last 1 --name xdp_pass
seq=$(seqs '.program.name? == "xdp_pass"' | tail -1)
id=$(jq "select(.seq == $seq) | .program.id" "$lines")
contains 'log: program and id' "$out" "xdp_pass"
contains 'log: program and id' "$out" "#$id"
contains 'log: pid and user' "$out" "bpftool[800]:0"
contains 'log: local time' "$(TZ=XXX-2 "$bpfmeasure" log --last 1 --kind epoch)" \
	"$(TZ=XXX-2 date -d "$(jq -r 'select(.kind == "epoch") | .time' "$lines" | tail -1)" +'%b %d %T')"
grep -q $'\x1b' "$dir/out"
same 'log: no colours in a pipe' 1 $?

# row KIND: what stands behind the kind, without the columns' blanks
row()
{
	"$bpfmeasure" log --last 1 --kind "$1" | tail -1 | tr -s ' ' | sed "s/^.* $1 //"
}
seq=$(seqs '.kind == "foreign"')
same 'log: a resume' 'PCR kept reset 6, restart 1, clock not safe' "$(row resume)"
same 'log: a foreign extend' "extend after $((seq - 2)) as expected until $(
	jq -r 'select(.kind == "foreign") | .last_seen' "$lines" | date -f - +'%b %d %T'
), expected eeeeeeeeeeee, found ffffffffffff" "$(row foreign)"
same 'log: a trim' '1 to 2 max_age, Jun 01 00:00:07 to Jun 01 00:00:14' "$(row trim)"

seq=$(seqs '.kind == "detach"' | tail -1)
same 'log: a detach' "$(jq -r "select(.seq == $((seq - 2))) | \"\(.program.name) \(.program.type) #\(.program.id)\"" "$lines"
) systemd[801]:0 from interface eth0, link $((seq - 1)), xdp, asked, record $((seq - 1))" "$(row detach)"
contains 'log: an attach' "$(row attach)" ' to '
contains 'log: an integrity verdict' "$(row integrity)" 'LSM_INT_VERDICT_UNSIGNED, by hornet'

# terminal COLUMNS COMMAND: its output on a terminal
terminal()
{
	script -qec "stty cols $1; $2" /dev/null </dev/null | tr -d '\r'
}
out=$(terminal 80 "$bpfmeasure log --last 200")
contains 'log: colours on a terminal' "$out" $'\x1b['
out=$(terminal 80 "NO_COLOR=1 $bpfmeasure log --last 200")
same 'log: NO_COLOR' 0 "$(grep -c $'\x1b' <<<"$out")"
export BPFMEASURE_MEMORY=$dir/memory.db
out=$(terminal 60 "NO_COLOR=1 $bpfmeasure attest web-07")
same 'attest: why is below on a narrow terminal' 'unknown    web-07  -          -                0
           not-enrolled: web-07 is not enrolled: bpfmeasure
           enroll web-07' "$out"
same 'attest: one line otherwise' \
	'unknown    web-07  -          -                0  not-enrolled: web-07 is not enrolled: bpfmeasure enroll web-07' \
	"$("$bpfmeasure" attest web-07)"
unset BPFMEASURE_MEMORY
for columns in 70 80 99 100 119 120 200; do
	out=$(terminal $columns "NO_COLOR=1 $bpfmeasure log --last 200")
	# Where it is narrow, one for the day too.
	same "log: a line a record in $columns columns" $((columns < 120 ? 202 : 201)) "$(wc -l <<<"$out")"
	if [ "$(wc -L <<<"$out")" -le $columns ]; then
		ok "log fits $columns columns"
	else
		fail "log fits $columns columns" "$(awk "length > $columns" <<<"$out" | head -1)"
	fi
	out=$(terminal $columns "NO_COLOR=1 $bpfmeasure log --tree --last 200")
	if [ "$(wc -L <<<"$out")" -le $columns ]; then
		ok "log --tree fits $columns columns"
	else
		fail "log --tree fits $columns columns" "$(awk "length > $columns" <<<"$out" | head -1)"
	fi
done

# trees
run log --tree
same 'log --tree: every program' "$(seqs '.kind == "load" or .kind == "baseline"' | sort -n)" \
	"$(tail -n +2 "$dir/out" | grep -oE '#[0-9]+ +[0-9]+ ' | awk '{ print $2 }' | sort -n)"
same 'log --tree: children' "$(seqs '.parent? // null != null')" \
	"$(grep -E '^(├|└|\|-|`-)' "$dir/out" | grep -oE '#[0-9]+ +[0-9]+ ' | awk '{ print $2 }')"
same 'log --tree: unloaded' "$(jq -r 'select(.kind == "unload") | .program.seq' "$lines")" \
	"$(grep -E '[0-9]{2}:[0-9]{2}:[0-9]{2}' "$dir/out" | grep -oE '#[0-9]+ +[0-9]+ ' | awk '{ print $2 }')"
run log --tree --verdict unsigned
same 'log --tree with a filter: unloaded' \
	"$(jq -s '(map(select(.kind == "load" and .signature.verdict == "unsigned").seq)) as $shown |
		map(select(.kind == "unload" and (.program.seq | IN($shown[])))) | length' "$lines")" \
	"$(grep -cE '[0-9]{2}:[0-9]{2}:[0-9]{2}' "$dir/out")"

since=$(jq -r "select(.seq == $((last - 300))).time" "$lines")
run log --tree --since "$since"
same 'log --tree --since: every program since then' "$(jq -r "select((.kind == \"load\" or .kind == \"baseline\") and .time >= \"$since\") | .seq" "$lines")" \
	"$(tail -n +2 "$dir/out" | grep -oE '#[0-9]+ +[0-9]+ ' | awk '{ print $2 }' | sort -n)"
one_boot=$dir/one-boot.db
cp "$log" "$one_boot"
sqlite3 "$one_boot" "UPDATE record SET line = CAST(replace(CAST(line AS TEXT), 'c3f07a11-90d2-4d1b-8f3e-2f1c115b5e0a',
	'5b5e0a5e-6b33-4a46-8f2c-7d3f0a2f1c11') AS BLOB) WHERE kind = 'epoch'"
run log --tree --last 0 --db "$one_boot"
whole=$(grep -c 'at ' "$dir/out")
run log --tree --last $((last - 10)) --db "$one_boot"
same 'log --tree --last: what is attached stays so over an epoch of the same boot' "$whole" "$(grep -c 'at ' "$dir/out")"

# Of the boot in force, which began with the second epoch and went on with the third.
boot=$(seqs '.kind == "epoch" and .why == "boot"')
attached=$(jq -s "map(select(.seq >= $boot)) | (map(.attach_seq? // empty)) as \$ended |
	(map(select(.kind == \"unload\") | .program.seq)) as \$gone |
	.[] | select(.kind == \"attach\") | select(.seq | IN(\$ended[]) | not) |
	select(.program.seq | IN(\$gone[]) | not) | .seq" "$lines")
run log --tree
same 'log --tree: where programs are attached now' "$attached" \
	"$(grep -E '[└├]─at ' "$dir/out" | sed -E 's/^.* ([0-9]+) {9,}.*$/\1/' | sort -n)"
same 'log --tree: found attached' "$(jq -s "map(select(.how? == \"baseline\") | .seq) |
	map(select(IN($(tr '\n' , <<<"$attached" | sed 's/,$//')))) | length" "$lines")" "$(grep -c ', baseline ' "$dir/out")"
same 'query: attached_now' "$attached" "$("$bpfmeasure" query --json 'SELECT seq FROM attached_now ORDER BY seq' | jq .seq)"
"$bpfmeasure" query --json 'SELECT seq, program_seq, program_name FROM attached_now ORDER BY seq' >"$dir/found"
same 'query: attached_now has the names of programs' \
	"$(jq -rs 'map({key: (.seq | tostring), value: .program.name?}) | from_entries as $names |
		$names | to_entries[] | "\(.key) \(.value)"' "$lines" | sort >"$dir/names"
	jq -r '.program_seq' "$dir/found" | while read -r seq; do grep "^$seq " "$dir/names"; done)" \
	"$(jq -r '"\(.program_seq) \(.program_name)"' "$dir/found")"

# following
"$dir/make-log" "$dir/follow.db" 50
"$bpfmeasure" log --db "$dir/follow.db" --json --follow --last 2 >"$dir/followed" &
follower=$!
sleep 0.6
"$dir/make-log" "$dir/follow.db" 5
for ((i = 0; i < 50; i++)); do
	[ "$(wc -l <"$dir/followed")" -ge 7 ] && break
	sleep 0.1
done
kill $follower
wait $follower 2>/dev/null
same 'log --follow prints the new ones' "$(sqlite3 "$dir/follow.db" \
	'SELECT seq FROM (SELECT seq FROM record ORDER BY seq DESC LIMIT 7) ORDER BY seq')" \
	"$(jq .seq "$dir/followed")"
out=$(timeout 1 "$bpfmeasure" log --db "$dir/follow.db" --follow --last 3)
same 'log --follow prints a table' 4 "$(wc -l <<<"$out")"

# damage
damaged=$dir/damaged.db
"$dir/make-log" "$damaged" 60
sqlite3 "$damaged" "UPDATE record SET line = CAST('{\"v\":1,' || char(27) || '[31m' AS BLOB) WHERE seq = 20"
run log --db "$damaged" --kind epoch --json
same 'log: a line that is no record is exit 1' 1 $code
contains 'log: a line that is no record is said' "$err" 'line 20 of the log is no record'
run log --db "$damaged" --kind epoch
contains 'log: a line that is no record does not hide' "$out" INVALID
same 'log: nothing commands the terminal' 0 "$(grep -c $'\x1b' "$dir/out" "$dir/err" | grep -vc ':0$')"
run log --db "$damaged" --tree
same 'log --tree: a line that is no record is exit 1' 1 $code
refuses 'query: a line that is no JSON' 2 'a line of the log' query 'SELECT prev FROM head' --db "$damaged"
refuses 'show: a line that is no record' 1 'is no record' show 20 --db "$damaged"
run show 6 --db "$damaged"
same 'show: its damage elsewhere' 0 $code
sqlite3 "$damaged" "UPDATE record SET line = (SELECT line FROM record WHERE seq = 21) WHERE seq = 20"
run log --db "$damaged" --json
same 'log: a record in the place of another is exit 1' 1 $code
contains 'log: a record in the place of another is said' "$err" 'another record'
sqlite3 "$damaged" "DELETE FROM record WHERE seq = 30"
run log --db "$damaged" --json
same 'log: a missing record is exit 1' 1 $code
contains 'log: a missing record is said' "$err" 'record 30 is missing'

# a log without its beginning
trimmed=$dir/cut.db
"$dir/make-log" "$trimmed" 1500
sqlite3 "$trimmed" 'DELETE FROM record WHERE seq <= 900'
accepts 'log: trimmed' log --db "$trimmed" --json
cmp -s "$dir/out" <(tail -n +901 "$lines")
same 'log: trimmed shows what is left' 0 $?
run log --db "$trimmed"
same 'log: trimmed fits into the table: nothing is said to be left out' '' "$err"
accepts 'log --last: trimmed' log --db "$trimmed" --json --last 5000
same 'log --last: trimmed' 901 "$(jq -s '.[0].seq' "$dir/out")"
accepts 'log --tree: trimmed' log --db "$trimmed" --tree
accepts 'show: the first of a trimmed log' show 901 --db "$trimmed"
refuses 'show: a removed record' 1 'record 900 was removed' show 900 --db "$trimmed"
accepts 'show: a program in a trimmed log' show --db "$trimmed" \
	"$(tail -n 50 "$lines" | jq -r '.program.sha256 // empty' | head -1)"
run status --db "$trimmed" --socket "$dir/none" --json
same 'status: trimmed' "$last" "$(jq .last_seq "$dir/out")"
accepts 'query: trimmed' query --db "$trimmed" 'SELECT min(seq) FROM head'

"$dir/make-log" "$dir/empty.db" 0
sqlite3 "$dir/empty.db" 'DELETE FROM record'
accepts 'log: empty' log --db "$dir/empty.db"
accepts 'log --tree: empty' log --tree --db "$dir/empty.db"
refuses 'show: empty' 3 'no record 1' show 1 --db "$dir/empty.db"

# ---- logs that were trimmed ----

# before NAME CODE TEXT: what log --before says on stdout, or of a fault on stderr
before()
{
	run log --before --db "$trimmed"
	same "log --before: $1" "$2:$3" "$code:$(cat "$dir/out" "$dir/err")"
}

trimmed=$dir/empty.db
before 'an empty log' 0 'nothing was removed: the log is empty'
trimmed=$dir/trimmed.db
"$dir/make-log" "$trimmed" 12
before 'nothing was removed' 0 'nothing was removed: the log begins with record 1'
accepts 'log --before --json: nothing was removed' log --before --json --db "$trimmed"
same 'log --before --json: nothing was removed' '' "$out"

"$dir/make-log" "$trimmed" 60
"$dir/make-log" "$trimmed" trim 30
first=31 last_of_it=$("$bpfmeasure" log --db "$trimmed" --json | tail -1 | jq .seq)
when=2026-06-01\ 00:$(printf '%02d' $((last_of_it * 7 / 60)))
before 'a trim' 0 "SEQ TIME             WHY     REMOVED OLDEST           NEWEST
 $last_of_it $when max_age 1 to 30 2026-06-01 00:00 2026-06-01 00:03

the log begins with record 31, right behind what record $last_of_it removed
a quote of the PCR after record 30 is kept"
same 'log --before --json: the trim' "$("$bpfmeasure" log --db "$trimmed" --json | tail -1)" \
	"$("$bpfmeasure" log --before --json --db "$trimmed")"
out=$(terminal 80 "NO_COLOR=1 $bpfmeasure log --before --db $trimmed")
if [ "$(wc -L <<<"$out")" -le 80 ]; then ok 'log --before fits 80 columns'; else fail 'log --before fits 80 columns' "$out"; fi

rest=$(seq $first "$last_of_it")
same 'a trimmed log: log --json' "$rest" "$("$bpfmeasure" log --db "$trimmed" --json | jq .seq)"
run log --db "$trimmed"
same 'a trimmed log: log' "0::$rest" "$code:$err:$(awk 'NR > 1 { print $1 }' "$dir/out")"
same 'a trimmed log: log --last' "$last_of_it" "$("$bpfmeasure" log --db "$trimmed" --json --last 1 | jq .seq)"
accepts 'a trimmed log: log --kind of what is gone' log --db "$trimmed" --kind epoch
refuses 'a trimmed log: show what is gone' 3 "was removed on $when:" show 30 --db "$trimmed"
contains 'a trimmed log: show names the trim' "$err" "see record $last_of_it (trim)"
accepts 'a trimmed log: show what is there' show $first --db "$trimmed"
contains 'a trimmed log: show knows the banks of a kept quote' "$out" 'sha384  '
run status --json --db "$trimmed" --socket "$dir/none"
same 'a trimmed log: status' '31 30 30313233343536373839616263646500' \
	"$(jq -r '[.first_seq, .kept_seq, .log_id] | map(tostring) | join(" ")' "$dir/out")"

cp "$trimmed" "$dir/whole.db"
"$dir/make-log" "$trimmed" trim 50 0
run log --before --db "$trimmed"
contains 'log --before: a trim that is not begun' "$out" "begins with record 31, right behind"
"$dir/make-log" "$trimmed" trim 50 7
run log --before --db "$trimmed"
same 'log --before: a trim under way' "0:the log begins with record 38
records up to 50 are being removed, as record $((last_of_it + 2)) says
a quote of the PCR after record 50 is kept" "$code:$(tail -3 "$dir/out")"
"$dir/make-log" "$trimmed" trim $((last_of_it + 1))
run log --before --db "$trimmed"
same 'log --before: what said so was trimmed' 'records 1 to 30 went before, and with time what said so' \
	"$(tail -1 "$dir/out")"
refuses 'show: what said so was trimmed' 3 'was removed before' show 7 --db "$trimmed"

# tampers NAME SQL TEXT: what is said of a trimmed log that somebody changed
tampers()
{
	cp "$dir/whole.db" "$trimmed"
	rm -f "$trimmed"-*
	sqlite3 "$trimmed" "$2"
	run log --before --db "$trimmed"
	same "log --before: $1 is exit 1" 1 $code
	contains "log --before: $1 is said" "$err" "$3"
}
tampers 'removing more' 'DELETE FROM record WHERE seq <= 33' \
	'records 31 to 33 were removed, and no trim record says so'
refuses 'show: removed, and nothing says so' 1 'no trim record says so' show 32 --db "$trimmed"
"$dir/make-log" "$trimmed" trim 40
run log --before --db "$trimmed"
same 'log --before: a later trim does not hide it' \
	'1:bpfmeasure log: records 31 to 33 were removed, and no trim record says so' "$code:$err"
tampers 'removing what says so too' "DELETE FROM record WHERE seq <= 33 OR seq = $last_of_it" \
	'records 1 to 33 were removed, and no trim record says so'
tampers 'removing the quote' 'DELETE FROM quote' 'is not kept: nothing proves what the log begins with'
tampers 'a quote of another line' \
	"UPDATE quote SET line = CAST(replace(CAST(line AS TEXT), '\"seq\":30', '\"seq\":31') AS BLOB)" \
	'the quote kept after record 30 is not of the line'
tampers 'another first record' \
	"UPDATE record SET line = CAST(replace(CAST(line AS TEXT), '\"prev\":\"', '\"prev\":\"00') AS BLOB) WHERE seq = 31" \
	'line 31 of the log is no record'
tampers 'a first record that does not follow' "UPDATE record SET line =
	CAST(substr(CAST(line AS TEXT), 1, 24) || '$(printf '0%.0s' {1..64})' ||
	substr(CAST(line AS TEXT), 89) AS BLOB) WHERE seq = 31" \
	"record 31 does not follow the record 30 that record $last_of_it names"
rm "$trimmed"* "$dir/whole.db"

# ---- show ----

for kind in epoch resume foreign start stop baseline load integrity reject attach detach unload lost trim; do
	seq=$(seqs ".kind == \"$kind\"" | tail -1)
	sed -n "${seq}p" "$lines" >"$dir/line"
	same "show --json: $kind" "$(cat "$dir/line")" "$("$bpfmeasure" show "$seq" --json)"
	run show "$seq"
	# Every value of the record under the last part of its key.
	missing=$(jq -r 'paths(scalars) as $p | "\($p | map(strings) | last)\t\(getpath($p))"' "$dir/line" |
		while IFS=$'\t' read -r key value; do
			grep -E "(^ |\.)$key +" "$dir/out" | grep -qF -- "$value" || echo "$key=$value"
		done)
	same "show: everything of $kind" '' "$missing"
	contains "show: sha256 of $kind" "$out" "sha256         $(tr -d '\n' <"$dir/line" | sha256sum | cut -c1-64)"
	contains "show: sha384 of $kind" "$out" "sha384         $(tr -d '\n' <"$dir/line" | sha384sum | cut -c1-96)"
done

seq=$(seqs '.program.name? == "__loader.prog"' | sed -n 3p)
run show "$seq"
same 'show: children' "$(seqs ".parent.seq? == $seq")" \
	"$(sed -n '/^children/,/^$/p' "$dir/out" | awk 'NF > 1 { print $1 }')"
seq=$(jq 'select(.kind == "unload") | .program.seq' "$lines" | sed -n 3p)
run show "$seq"
same 'show: unload' "$(seqs ".kind == \"unload\" and .program.seq == $seq")" \
	"$(sed -n '/^unload/,/^$/p' "$dir/out" | awk 'NF > 1 { print $1 }')"

seq=$(jq 'select(.kind == "detach") | .program.seq' "$lines" | sed -n 2p)
run show "$seq"
same 'show: attachments' "$(seqs "(.kind == \"attach\" or .kind == \"detach\") and .program.seq == $seq")" \
	"$(sed -n '/^attachments/,/^$/p' "$dir/out" | awk 'NF > 1 { print $1 }')"
seq=$(jq 'select(.kind == "detach") | .attach_seq' "$lines" | sed -n 2p)
run show "$seq"
same 'show: how an attachment ended' "$(seqs ".attach_seq? == $seq")" \
	"$(sed -n '/^attachments/,/^$/p' "$dir/out" | awk 'NF > 1 { print $1 }')"
seq=$(jq 'select(.kind == "integrity") | .program.seq' "$lines" | sed -n 2p)
run show "$seq"
contains 'show: integrity' "$(sed -n '/^integrity/,/^$/p' "$dir/out")" 'LSM_INT_VERDICT_UNSIGNED'

pins=$dir/pins.db
cp "$log" "$pins"
sqlite3 "$pins" "UPDATE record SET line = CAST(replace(CAST(line AS TEXT), '\"type\":\"interface\",\"name\":\"eth0\"',
	'\"type\":\"file\",\"name\":\"/walk\"') AS BLOB) WHERE kind IN ('attach', 'detach')"
run log --db "$pins" --kind attach
contains 'log: a pin is in a BPF file system' "$out" ' to bpffs:/walk, link '
run log --db "$pins" --tree
contains 'log --tree: likewise' "$out" 'at bpffs:/walk, link '
run show --db "$pins" 19
contains 'show: likewise' "$out" 'target, in a BPF file system
 type           file
 name           /walk'
run show --db "$pins" 18
contains 'show: likewise of what refers to a program' "$out" ' 19             bpffs:/walk, link 19, xdp, '
run report --db "$pins" -o -
contains 'report: likewise' "$out" '>bpffs:<b class="n">/walk</b>'

sha256=$(jq -r 'select(.program.name? == "__loader.prog") | .program.sha256' "$lines" | head -1)
for target in "$sha256" "${sha256:0:8}" "sha256:${sha256:0:10}" "$(tr a-f A-F <<<"$sha256")"; do
	same "show ${target:0:20} --json" "$(seqs ".program.sha256? == \"$sha256\"")" \
		"$("$bpfmeasure" show "$target" --json | jq .seq)"
done
run show "${sha256:0:8}"
same 'show SHA256: a row for each' "$(seqs ".program.sha256? == \"$sha256\"")" \
	"$(sed -n '/^ *SEQ/,$p' "$dir/out" | tail -n +2 | awk '{ print $1 }')"
contains 'show SHA256: kept' "$out" 'kept, 96 bytes'

kept=$(sqlite3 "$log" 'SELECT lower(hex(sha256)) FROM program LIMIT 1')
accepts 'show SHA256 --insns' show "$kept" --insns "$dir/insns"
same 'show --insns: the bytes' "$kept" "$(sha256sum "$dir/insns" | cut -c1-64)"
same 'show --insns -' "$kept" "$("$bpfmeasure" show "$kept" --insns - | sha256sum | cut -c1-64)"
seq=$(seqs ".program.sha256? == \"$kept\"" | head -1)
same 'show SEQ --insns' "$kept" "$("$bpfmeasure" show "$seq" --insns - | sha256sum | cut -c1-64)"
accepts 'show --insns /dev/null' show "$kept" --insns /dev/null
same 'show --insns leaves /dev/null alone' 'character special file' "$(stat -c %F /dev/null)"
# as /dev/stdout is one, to wherever stdout goes
touch "$dir/target" && ln -s target "$dir/link"
accepts 'show --insns to a link' show "$kept" --insns "$dir/link"
same 'show --insns writes through a link' "$kept" "$(sha256sum "$dir/target" | cut -c1-64)"
same 'show --insns leaves the link alone' target "$(readlink "$dir/link")"
gone=$(jq -r 'select(.program.sha256? // null != null) | .program.sha256' "$lines" | sort -u |
	grep -vxFf <(sqlite3 "$log" 'SELECT lower(hex(sha256)) FROM program') | head -1)
refuses 'show --insns: not kept' 3 'are not kept' show "$gone" --insns "$dir/gone"
run show "$gone"
contains 'show SHA256: not kept' "$out" 'not kept'
seq=$(seqs '.program.captured? == false' | head -1)
refuses 'show --insns: not captured' 3 'no sha256' show "$seq" --insns "$dir/gone"
refuses 'show --insns: no program' 3 'no sha256' show 1 --insns "$dir/gone"
refuses 'show --insns: no directory' 3 'No such file' show "$kept" --insns "$dir/none/file"
same 'show --insns leaves nothing behind' '' "$(find "$dir" -name 'gone*' -o -name 'insns.*')"

cp "$log" "$dir/forged.db"
sqlite3 "$dir/forged.db" "UPDATE program SET insns = zeroblob(96) WHERE hex(sha256) = upper('$sha256')"
refuses 'show --insns: other bytes' 1 'nothing is written' show "$sha256" --insns "$dir/gone" \
	--db "$dir/forged.db"
sqlite3 "$dir/forged.db" "UPDATE record SET line = CAST(replace(CAST(line AS TEXT), '$sha256',
	'${sha256:0:8}$(printf '0%.0s' {1..56})') AS BLOB) WHERE seq = 6"
refuses 'show: ambiguous' 2 'more than one' show "${sha256:0:8}" --db "$dir/forged.db"

refuses 'show: nothing' 2 'give the number' show
refuses 'show: two' 2 'give the number' show 1 2
refuses 'show 0' 2 'counted from 1' show 0
refuses 'show -1' 2 '' show -1
refuses 'show: beyond the end' 3 "the last is $last" show $((last + 1))
refuses 'show: junk' 2 'neither' show xyz
refuses 'show: empty' 2 'neither' show ''
refuses 'show: too short' 2 'at least 8' show abcdef0
refuses 'show: too long' 2 'neither' show "${sha256}0"
refuses 'show: no such program' 3 'no program' show "$(printf 'e%.0s' {1..64})"
refuses 'show: a number as sha256' 3 'begins with 12345678' show sha256:12345678
refuses 'show --json --insns' 2 'one at a time' show 1 --json --insns "$dir/gone"

# ---- query ----

# queries NAME SQL: the same as sqlite3's
queries()
{
	same "$1" "$(sqlite3 -json "$log" "$2" | jq -c '.[]')" "$("$bpfmeasure" query --json "$2" | jq -c .)"
}

queries 'query --json: table' 'SELECT seq, ref FROM record ORDER BY seq LIMIT 100'
queries 'query --json: types' "SELECT 1 AS i, -2.5 AS r, 'a \"b\" \\ é' AS t, NULL AS n, '' AS e, 9223372036854775807 AS m"
queries 'query --json: functions' "SELECT CAST(line AS TEXT) ->> '\$.kind' AS kind, count(*) AS n FROM record GROUP BY 1"
same 'query --json: BLOB' '{"b":"00ff"}' "$("$bpfmeasure" query --json "SELECT x'00ff' AS b")"
same 'query --json: two statements' '{"a":1} {"b":2}' \
	"$("$bpfmeasure" query --json 'SELECT 1 AS a; SELECT 2 AS b' | tr '\n' ' ' | sed 's/ $//')"
same 'query: the view load' "$(jq -c 'select(.kind == "load") | [.seq, .program.name, .signature.verdict]' "$lines")" \
	"$("$bpfmeasure" query --json 'SELECT seq, program_name, signature_verdict FROM load' |
		jq -c '[.seq, .program_name, .signature_verdict]')"
for view in head epoch resume foreign_extend start stop baseline load integrity reject attach detach unload lost trim \
	program map loader signature_claim attached_now; do
	accepts "query: the view $view" query "SELECT * FROM $view LIMIT 1"
done
run query 'SELECT seq, ref AS "a ref" FROM record ORDER BY seq LIMIT 3'
same 'query: a table' 'seq a ref
  1     0
  2     0
  3    10' "$out"
run query 'SELECT 1 AS a; SELECT 2 AS b'
same 'query: two tables' 'a
1

b
2' "$out"
run query "SELECT char(27, 0) || 'x' AS a"
same 'query: nothing commands the terminal' 'a
\x1b' "$out"
same 'query --json: nothing commands the terminal' '{"a":"\u001B\u009B\u202E"}' \
	"$("$bpfmeasure" query --json 'SELECT char(27, 155, 8238) AS a')"
sqlite3 "$dir/schema.db" "PRAGMA application_id=$(sqlite3 "$log" 'PRAGMA application_id')" \
	"PRAGMA user_version=$(sqlite3 "$log" 'PRAGMA user_version')" "CREATE TABLE \"$(printf '\033[31m\302\233x\ny')\"(a)"
refuses 'log: a schema that commands the terminal' 3 'CREATE TABLE "?[31m??x?y' log --db "$dir/schema.db"
accepts 'query: no rows' query 'SELECT 1 WHERE 0'
same 'query: no rows, no output' '' "$out"
sum=$(sha256sum <"$log")
for sql in "INSERT INTO record VALUES(9999, 0, x'00')" 'DELETE FROM record' 'UPDATE record SET ref = 1' \
	'DROP TABLE record' 'CREATE TABLE x(y)' "ATTACH '$dir/other.db' AS o" 'PRAGMA user_version = 7' \
	'PRAGMA data_version' BEGIN VACUUM "SELECT load_extension('x')" 'CREATE TEMP VIEW v AS SELECT 1' \
	'SELECT 1; DELETE FROM record'; do
	refuses "query: $sql" 2 'may only read' query "$sql"
done
same 'query changes nothing' "$sum" "$(sha256sum <"$log")"
refuses 'query: no SQL' 2 syntax query 'SELEKT 1'
refuses 'query: no column' 2 'no such column' query 'SELECT nosuch FROM load'
refuses 'query: a string in double quotes' 2 'no such column' query 'SELECT "text"'
refuses 'query: an error after rows' 2 '' query "SELECT 1; SELECT json('{')"
refuses 'query: empty' 2 'no statement' query ''
refuses 'query: nothing' 2 'one argument' query
refuses 'query: two' 2 'one argument' query 'SELECT 1' 'SELECT 2'
refuses 'query --json: a name twice' 2 'AS' query --json 'SELECT 1 AS a, 2 AS a'
accepts 'query: a name twice' query 'SELECT 1 AS a, 2 AS a'
refuses 'query --limit' 3 'took too long' query --limit 1 \
	'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n'
refuses 'query --limit junk' 2 'no number' query --limit 1s 'SELECT 1'
refuses 'query --limit negative' 2 'no number' query --limit -1 'SELECT 1'

# ---- audit ----

history=$dir/history.db
"$dir/make-history" "$history" "$dir/history.ak" 90 3 10

# judged NAME CODE JQ-CONDITION SQL: the verdict on a copy of the history that SQL has changed
judged()
{
	rm -f "$dir"/judged.db*
	for end in '' -wal -shm; do
		cp "$history$end" "$dir/judged.db$end"
	done
	sqlite3 "$dir/judged.db" "$4"
	run audit --ak "$dir/history.ak" --json "$dir/judged.db"
	same "audit: $1: exit" "$2" "$code"
	if jq -e "$3" "$dir/out" >/dev/null; then ok "audit: $1"; else fail "audit: $1" "$out $err"; fi
}

trusts='[.spans[] | "\(.first)-\(.last) \(.trust)"] | join(", ")'
accepts 'audit: an honest log' audit --ak "$dir/history.ak" "$history"
contains 'audit: an honest log is trusted' "$out" 'trusted
All 90 records are proven'
same 'audit: fits 80 columns' yes "$(awk 'length > 80 { exit 1 }' "$dir/out" && echo yes)"
accepts 'audit -q' audit -q --ak "$dir/history.ak" "$history"
same 'audit -q says nothing' '' "$out"
run audit "$history"
same 'audit: without an AK it is exit 3' 3 $code
contains 'audit: without an AK' "$out" 'The AK was not given'
run audit --ak "$dir/history.ak" --pcr 14 "$history"
same 'audit: another PCR is exit 1' 1 $code
refuses 'audit: another file than a log' 1 'not a database' audit "$dir/history.ak"
refuses 'audit: no such log' 3 'none.db' audit "$dir/none.db"
refuses 'audit --pcr 24' 2 'from 0 to 23' audit --pcr 24 "$history"
refuses 'audit --base of no bank' 2 'BANK:HEX' audit --base md5:00 "$history"
refuses 'audit: two logs' 2 'one DB' audit "$history" "$history"
for options in '' --json; do
	# shellcheck disable=SC2086
	"$bpfmeasure" audit $options "$history" >/dev/full 2>"$dir/err"
	same "audit $options: a full disk is exit 3" 3 $?
done

judged 'nothing changed' 0 '.verdict == "trusted"' ''
judged 'a record is changed' 1 "$trusts == \"1-30 proven, 31-43 proven, 44-44 contradicted, 45-60 proven, 61-90 proven\"" \
	"UPDATE record SET line = CAST(replace(CAST(line AS TEXT), 'bpftool', 'bpfTool') AS BLOB) WHERE seq = 44"
judged 'a record is removed' 1 '.spans[1].last == 43 and .spans[2].reason == "seq" and .counts.proven == 89' \
	'DELETE FROM record WHERE seq = 44'
judged 'the end is cut off' 1 '.findings[0].reason == "rollback"' 'DELETE FROM record WHERE seq > 85'
judged 'an epoch is cut off, quotes and all' 0 '.records == 60' \
	'DELETE FROM record WHERE seq > 60; DELETE FROM quote WHERE seq > 60'
judged 'an epoch in the middle is cut out' 1 '.counts.contradicted >= 30' \
	'DELETE FROM record WHERE seq BETWEEN 31 AND 60; DELETE FROM quote WHERE seq BETWEEN 31 AND 60'
judged 'the beginning is cut off' 1 '.spans[0].reason == "start"' \
	'DELETE FROM record WHERE seq <= 30; DELETE FROM quote WHERE seq < 30'
judged 'a quote is removed: the next covers its records' 0 '.verdict == "trusted"' 'DELETE FROM quote WHERE seq = 40'
judged 'the quotes of the last epoch are removed' 3 '.counts.unproven == 30' 'DELETE FROM quote WHERE seq > 60'
judged 'a quote is of another record' 1 '.findings[0].reason == "seq"' 'UPDATE quote SET seq = 41 WHERE seq = 40'
judged 'a quote is spoilt' 1 '.findings | length > 0' \
	"UPDATE quote SET line = CAST(replace(CAST(line AS TEXT), 'a', 'b') AS BLOB) WHERE seq = 40"
judged 'a ref finds another record' 1 '.findings[0].reason == "database"' 'UPDATE record SET ref = 7 WHERE seq = 44'
judged 'a program is exchanged' 1 '.findings[0].reason == "database"' "UPDATE program SET insns = x'00'"

# ---- status and quote: a measurer of our own ----

export BPFMEASURE_SOCKET=$dir/socket

serve()
{
	[ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null
	rm -f "$dir/socket"
	"$dir/fake-measurer" "$dir/socket" "$1" &
	server=$!
	for ((i = 0; i < 100; i++)); do
		[ -S "$dir/socket" ] && break
		sleep 0.05
	done
}

run status
same 'status: stopped is exit 3' 3 $code
contains 'status: stopped' "$out" 'state      stopped'
contains 'status: the last record' "$out" "records    $last"
run status --json
same 'status --json: stopped' "stopped $last $(seqs '.kind == "epoch"' | tail -1)" \
	"$(jq -r '[.state, .last_seq, .epoch_seq] | map(tostring) | join(" ")' "$dir/out")"
run status --json --db "$dir/none.db"
same 'status: stopped, no log' 'stopped 3' "$(jq -r .state "$dir/out") $code"
run status --json --db "$dir/empty.db"
same 'status: stopped, empty log' '0 3' "$(jq -r .last_seq "$dir/out") $code"
run status --json --socket "$(printf 'x%.0s' {1..200})"
same 'status: no path of a socket' 'unknown 3' "$(jq -r .state "$dir/out") $code"
run status --json --socket "$log"
same 'status: no socket' 3 $code

serve measuring
accepts 'status: measuring' status
for part in measuring 0.1.0 lsm/bpf_prog_load_post_integrity software /dev/tpmrm0 '13 sha256 00112233' \
	'812, extended 810, confirmed 809, kept 805' '44' '3, events dropped 2, hooks missed 3, malformed 5, audit failed 1' \
	'128 of 16777216 bytes held' 'not covered: classic BPF filters (SO_ATTACH_FILTER, seccomp)' \
	303132333435363738396162636465; do
	contains "status: $part" "$out" "$part"
done
same 'status: hooks on lines of 80 columns' '' "$(grep -v '^PCR' "$dir/out" | awk 'length > 80')"
accepts 'status --json' status --json
same 'status --json is what the daemon says' 'measuring 812 128 classic BPF filters (SO_ATTACH_FILTER, seccomp)' \
	"$(jq -r '[.state, .last_seq, .ring.held, .not_covered[]] | map(tostring) | join(" ")' "$dir/out")"
BPFMEASURE_SOCKET=$dir/none accepts 'status: --socket wins' status --socket "$dir/socket"

serve degraded
run status
same 'status: degraded is exit 1' 1 $code
contains 'status: why' "$out" 'no \x1b[31mTPM'

cat >"$dir/faults" <<'END'
{"state":"degraded","why":"log-full: the disk; tpm-gone: no answer","faults":[
{"fault":"log-full","what":"storing a record: the disk is full \u001b[31m and that on a file system which somebody has filled",
"remedy":"free space on that file system, or set max_size in [log]; loads wait in the kernel's ring meanwhile"},
{"fault":"tpm-gone","what":"no answer","remedy":"see that the device is there"}],
"version":"0.1.0","first_seq":41,"last_seq":812,"extended_seq":810,"confirmed_seq":809,"kept_seq":0}
END
serve "$dir/faults"
run status
same 'status: faults are exit 1' 1 $code
same 'status: each fault, and its remedy' 'state      degraded
fault      log-full: storing a record: the disk is full \x1b[31m and that on a
           file system which somebody has filled
remedy     free space on that file system, or set max_size in [log]; loads wait
           in the kernel'\''s ring meanwhile
fault      tpm-gone: no answer
remedy     see that the device is there
version    0.1.0' "$(sed '/^version/q' "$dir/out")"
contains 'status: no quote is kept' "$out" 'confirmed 809, kept 0'
same 'status: the oldest record of a trimmed log' 41 "$(sed -n 's/^oldest *//p' "$dir/out")"
run status --json
same 'status --json: the faults' 'log-full tpm-gone' "$(jq -r '[.faults[].fault] | join(" ")' "$dir/out")"

cat >"$dir/waiting" <<'END'
{"state":"degraded","why":"log-unreachable: none","faults":[{"fault":"log-unreachable",
"what":"/mnt/log.db: no such directory","remedy":"make it"}],"version":"0.1.0","pcr":13,"lost":0}
END
serve "$dir/waiting"
run status
same 'status: waiting for its log is exit 1' 1 $code
contains 'status: waiting for its log' "$out" 'fault      log-unreachable: /mnt/log.db: no such directory'
same 'status: no log, nothing of it' '' "$(grep -E '^(TPM|PCR|records|oldest|log) ' "$dir/out")"
# What is loaded according to the log, by another way than the program's own.
accepts 'cross-check: what is loaded' query --json "WITH program_seen AS (
	SELECT seq, program_id, program_name, program_load_time_ns FROM load UNION ALL
	SELECT seq, program_id, program_name, program_load_time_ns FROM baseline)
	SELECT max(seq) AS seq, program_id AS id, program_name AS name, program_load_time_ns AS load_time_ns
	FROM program_seen WHERE program_id > 0 AND NOT EXISTS (SELECT 1 FROM unload
		WHERE unload.program_id = program_seen.program_id AND unload.seq > program_seen.seq)
	AND seq >= (SELECT min(seq) FROM epoch WHERE boot_id = (SELECT boot_id FROM epoch ORDER BY seq DESC LIMIT 1))
	GROUP BY program_id ORDER BY 1 DESC"
boot_id=$("$dir/bpfmeasure" query --json 'SELECT boot_id FROM epoch ORDER BY seq DESC LIMIT 1' | jq -r .boot_id)
jq -s --arg boot_id "$boot_id" --argjson last "$last" '{boot_id: $boot_id, last_seq: $last, programs:
	map({id, load_time_ns, name, iterator: true, ids: true, fd: true})}' "$dir/out" >"$dir/loaded"
newest_seq=$(jq -s '.[0].seq' "$dir/out")
serve "$dir/loaded"
accepts 'cross-check: the lists agree' status --cross-check
contains 'cross-check: how many' "$out" "programs   $(jq '.programs | length' "$dir/loaded")"
newest=$(jq -r '.programs[0].id' "$dir/loaded")
# It is named as long as it lasts; escapes of a name do not command the terminal.
jq '.programs[0].ids = false | .programs[0].name = "evil\u001b"' "$dir/loaded" >"$dir/hidden"
serve "$dir/hidden"
run status --cross-check
same 'cross-check: a hidden program is exit 1' 1 $code
contains 'cross-check: who hides it' "$out" \
	"hidden     id $newest evil\\x1b, record $newest_seq: shown by iterator, fd, history; not by ids"
jq 'del(.programs[0]) | .programs += [{id: 999999, load_time_ns: 1, name: "new", iterator: true, ids: true, fd: true}]' \
	"$dir/loaded" >"$dir/hidden"
serve "$dir/hidden"
run status --cross-check --json
same 'cross-check --json: only in the history, and not in it' "hidden $newest:history 999999:iterator,ids,fd 1" \
	"$(jq -r '"\(.verdict) \(.hidden | sort_by(.id) | map("\(.id):\([to_entries[] | select(.value == true) | .key] | join(","))") | join(" "))"' \
		"$dir/out") $code"
jq '.programs[0].fd = null' "$dir/loaded" >"$dir/hidden"
serve "$dir/hidden"
run status --cross-check
same 'cross-check: what the kernel refuses to say is exit 3' 3 $code
contains 'cross-check: how many may not be opened' "$(cat "$dir/err")" 'does not let the daemon open 1 of the programs'
run status --cross-check --db "$dir/none.db"
same 'cross-check: no log is exit 3' 3 $code
run status --cross-check --socket "$dir/none"
same 'cross-check: no daemon is exit 3' 3 $code
for mode in garbage bad-status close refuse measuring; do
	serve $mode
	refuses "cross-check: $mode" 3 '' status --cross-check
done
for mode in garbage bad-status close refuse; do
	serve $mode
	run status
	same "status: $mode is exit 3" 3 $code
	contains "status: $mode is unknown" "$out" 'state      unknown'
	[ $mode = bad-status ] || refuses "quote: $mode" 3 '' quote -o "$dir/evidence"
done
contains 'quote: what the daemon says' "$err" 'the TPM is ?[31mbusy'
chmod 600 "$dir/socket"
setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/bpfmeasure" quote -o /dev/null \
	>"$dir/out" 2>"$dir/err"
same 'quote: no permission is exit 3' 3 $?
setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/bpfmeasure" status >"$dir/status"
same 'status: no permission is exit 3' 3 $?
same 'status: no permission: what to do, once' 1 "$(grep -o 'group bpfmeasure' "$dir/status" | wc -l)"
contains 'quote: no permission: what to do' "$(cat "$dir/err")" 'group bpfmeasure'

serve evidence
nonce=$(printf '0123456789abcdef%.0s' {1..4})
accepts 'quote' quote --nonce "$nonce" -o "$dir/evidence" --export "$dir/export"
contains 'quote: the nonce' "$out" "nonce      $nonce"
contains 'quote: the records' "$out" 'records    1 to 8'
same 'quote: the statement' "$nonce 8" "$(head -1 "$dir/evidence" | jq -r '[.nonce, .last] | map(tostring) | join(" ")')"
same 'quote: the lines' 9 "$(wc -l <"$dir/evidence")"
same 'quote: the mode of the file' 644 "$(umask 022; "$bpfmeasure" quote -o "$dir/mode" >"$dir/out"; stat -c %a "$dir/mode")"
run verify "$dir/evidence" --ak "$dir/export/ak.tpm2b" --nonce "$nonce"
same 'quote: verify finds it true' 0 $code
run verify "$dir/evidence" --ak "$dir/export/ak.pem" --nonce "$nonce"
same 'quote: verify takes the PEM' 0 $code
policies=(verify "$dir/evidence" --ak "$dir/export/ak.pem")
echo "SELECT seq, kind AS value, 'it is the second' AS why FROM head WHERE seq = 2" >"$dir/second.sql"
echo 'SELECT seq, knd AS value FROM head' >"$dir/misspelled.sql"
run "${policies[@]}" --policy no-foreign.sql
same 'policy: without a violation it is exit 0' 0 $code
run "${policies[@]}" --policy "$dir/second.sql"
same 'policy: a violation is exit 1' 1 $code
contains 'policy: a violation is a line' "$out" $'untrusted: policy\n'
contains 'policy: a violation names record, rule, value and why' "$out" 'violation: record 2: second: '
contains 'policy: a violation says why' "$out" ' (it is the second)'
run "${policies[@]}" --policy "$dir/misspelled.sql"
same 'policy: a misspelled column is exit 3' 3 $code
contains 'policy: a misspelled column is unknown' "$out" $'unknown: policy-failed\n'
contains 'policy: a misspelled column is named' "$out" 'policy failed: misspelled: no such column: knd'
run "${policies[@]}" --policy "$dir/misspelled.sql" --policy "$dir/second.sql" --json
same 'policy: violations count where another policy fails' 'untrusted policy 2 second true' \
	"$(jq -r '[.verdict, .reason, (.policy.violations[0] | .seq, .rule), (.policy.error != null)] | join(" ")' "$dir/out")"
refuses 'policy: no such policy' 2 'no shipped policy' "${policies[@]}" --policy nonsense
refuses 'policy: no such file' 2 'No such file' "${policies[@]}" --policy "$dir/none.sql"
refuses 'policy: reference values without a policy' 2 'needs a --policy' "${policies[@]}" --reference "$dir/second.sql"
refuses 'policy: no reference values' 3 'second.sql:1: ' "${policies[@]}" --policy no-gaps --reference "$dir/second.sql"

accepts 'reference: evidence' reference "$dir/evidence" --ak "$dir/export/ak.pem" -o "$dir/expected"
run reference "$dir/evidence"
contains 'reference: evidence that is not verified is said to be' "$err" 'not verified'
same 'reference: and its values are the same' "$(cat "$dir/expected")" "$out"
sed '$s/"seq"/"sEq"/' "$dir/evidence" >"$dir/changed"
refuses 'reference: evidence that is not true' 1 changed reference "$dir/changed" --ak "$dir/export/ak.pem"
accepts 'reference: an executable' reference "$bpfmeasure"
contains 'reference: an executable is its sha256' "$out" "\"exe_sha256\":\"$(sha256sum "$bpfmeasure" | cut -d' ' -f1)\""
accepts 'reference: a light skeleton' reference tests/fuzz/corpus/reference/skeleton
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=one -keyout "$dir/key.pem" -out "$dir/one.pem" 2>"$dir/err"
accepts 'reference: a certificate' reference "$dir/one.pem"
sed '2s/^...../AAAAA/' "$dir/one.pem" | cat "$dir/one.pem" - >"$dir/two.pem"
refuses 'reference: a certificate behind another that cannot be read' 3 'does not read certificate 2 of it' reference "$dir/two.pem"
refuses 'reference: a script' 3 'interpreter' reference tests/cli.sh
refuses 'reference: another file' 3 'no BPF object' reference "$dir/second.sql"
refuses 'reference: no file' 2 'needs a FILE' reference
refuses 'reference: a file that is not there' 3 'none' reference "$dir/none"
(cd "$dir/export" && grep -q '^tpm2_checkquote ' README && sh ./README) >"$dir/out" 2>&1
same 'quote --export: tpm2_checkquote finds it true' 0 $?
contains 'quote --export: the qualifying data' "$(cat "$dir/export/README")" "$(cat "$dir/export/qualifying.hex")"
same 'quote --export: the key is a key' "$(openssl pkey -pubin -in "$dir/export/ak.pem" -pubout)" \
	"$(cat "$dir/export/ak.pem")"
printf x | dd of="$dir/export/pcrs.bin" conv=notrunc 2>/dev/null
! (cd "$dir/export" && sh ./README) >"$dir/out" 2>&1
same 'quote --export: tpm2_checkquote finds it false when changed' 0 $?
accepts 'quote --export: once more' quote -o "$dir/evidence" --export "$dir/export"
run quote -o - --nonce "$nonce"
same 'quote -o -: the evidence' 9 "$(wc -l <"$dir/out")"
contains 'quote -o -: the nonce on stderr' "$err" "$nonce"
"$bpfmeasure" quote -o "$dir/evidence" >"$dir/one" && "$bpfmeasure" quote -o "$dir/evidence" >"$dir/two"
cmp -s "$dir/one" "$dir/two"
same 'quote: another nonce each time' 1 $?
accepts 'quote --since the end' quote --since 8 -o "$dir/evidence"
contains 'quote --since the end' "$out" 'none after 8'
refuses 'quote: other since' 3 'another challenge' quote --since 7 -o "$dir/gone"
refuses 'quote: no file' 2 '-o FILE' quote
refuses 'quote --nonce short' 2 '64 hexadecimal' quote --nonce abc -o "$dir/gone"
refuses 'quote --nonce junk' 2 '64 hexadecimal' quote --nonce "${nonce:0:63}g" -o "$dir/gone"
refuses 'quote --since junk' 2 'no number' quote --since -1 -o "$dir/gone"
refuses 'quote --since too large' 2 'no number' quote --since 9223372036854775808 -o "$dir/gone"
refuses 'quote: no directory' 3 'No such file' quote -o "$dir/none/file"
refuses 'quote --export: no directory' 3 'No such file' quote -o "$dir/evidence" --export "$dir/none/dir"
refuses 'quote --export: a file' 3 'Not a directory' quote -o "$dir/evidence" --export "$log"
"$bpfmeasure" quote -o - >/dev/full 2>"$dir/err"
same 'quote: a full disk is exit 3' 3 $?
echo before >"$dir/kept"
for mode in cut half extra replayed; do
	serve $mode
	refuses "quote: $mode" 3 '' quote -o "$dir/kept"
	same "quote: $mode leaves the file as it was" before "$(cat "$dir/kept")"
done
same 'quote leaves nothing behind' '' "$(find "$dir" -name 'gone*' -o -name 'kept.*' -o -name 'evidence.*')"
kill "$server" && wait "$server" 2>/dev/null
server=
refuses 'quote: no daemon' 3 'no daemon answers' quote -o "$dir/gone"

# ---- enroll ----

export BPFMEASURE_MEMORY=$dir/verifier.db
refuses 'enroll: nobody' 2 'needs one HOST' enroll --first-use
refuses 'enroll: two' 2 'needs one HOST' enroll a b --first-use
refuses 'enroll: nothing vouches' 2 'what vouches' enroll host
refuses 'enroll: two modes' 2 'what vouches' enroll host --first-use --ak "$log"
refuses 'enroll: no host' 2 'is no HOST' enroll host:0 --first-use
refuses 'enroll: a path' 2 'is no HOST' enroll host/path --first-use
refuses 'enroll --name of two words' 2 'cannot be a name' enroll host --first-use --name 'a b'
refuses 'enroll --tpm without a pinned key' 2 'pinned key' enroll host --first-use --tpm hardware
refuses 'enroll --tpm junk' 2 'hardware or software' enroll host --ak "$log" --tpm firmware
refuses 'enroll --require junk' 2 'takes hardware' enroll host --first-use --require software
refuses 'enroll --pcr junk' 2 '0 to 23' enroll host --first-use --pcr 24
refuses 'enroll --base junk' 2 'BANK:HEX' enroll host --first-use --base sha256:00
refuses 'enroll --cert alone' 2 'go together' enroll host --first-use --cert "$log"
refuses 'enroll --list of one' 2 'stand alone' enroll host --list
refuses 'enroll: no such roots' 3 "No such file or directory - put root certificates of TPM vendors into $dir/none/hardware" \
	enroll host --roots "$dir/none"
refuses 'enroll: no such key' 3 'No such file' enroll host --ek "$dir/none"
refuses 'enroll: a key that is none' 3 'neither a public key' enroll host --ek "$log"
accepts 'enroll --list of none' enroll --list
same 'enroll --list of none' '' "$out"
refuses 'enroll --remove of none' 3 'is not enrolled' enroll --remove host
run enroll 127.0.0.1:1 --first-use
same 'enroll: nobody answers' '3 unknown: unreachable' "$code ${out%%$'\n'*}"
run enroll 127.0.0.1:1 --first-use --json
same 'enroll --json: nobody answers' '3 unknown unreachable' "$code $(jq -r '"\(.result) \(.reason)"' "$dir/out")"

echo
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
