#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# @NAME@: @SUMMARY@
#
# Holds pages of a memory node by @NAME@.c, tries to take each memory block of the node offline,
# lets the pages go, and tries again. Ends with everything online, as it was.
#
#   ./@NAME@.sh [NODE]        as root; NODE: one whose memory is all in ZONE_MOVABLE
#
# A machine for it, where there is none: boot the kernel with movable_node in QEMU with
#   @QEMU@
set -u
here=$(cd "$(dirname "$0")" && pwd)
program=$here/@NAME@
memory=/sys/devices/system/memory
nodes=/sys/devices/system/node
seconds=${SECONDS_PER_BLOCK:-8}

fail() {
	echo "$0: $1" >&2
	exit "${2:-3}"
}

# The memory blocks of a node, in order of their numbers.
blocks_of() {
	for path in "$nodes/node$1"/memory[0-9]*; do
		[ -e "$path" ] && echo "${path##*/memory}"
	done | sort -n
}

zone_of() {
	cat "$memory/memory$1/valid_zones" 2>/dev/null
}

state_of() {
	cat "$memory/memory$1/state"
}

# All blocks online and in ZONE_MOVABLE; those that are offline may be brought there.
is_movable() {
	found=
	for block in $(blocks_of "$1"); do
		found=yes
		[ "$(state_of "$block")" != offline ] ||
			echo online_movable 2>/dev/null >"$memory/memory$block/state"
		[ "$(zone_of "$block")" = Movable ] || return 1
	done
	[ -n "$found" ]
}

# Writes offline, and ends that by SIGTERM after some seconds; prints what became of the block.
try_offline() {
	before=$(date +%s)
	(echo offline >"$memory/memory$1/state") 2>/dev/null &
	writer=$!
	while kill -0 "$writer" 2>/dev/null && [ $(($(date +%s) - before)) -lt "$seconds" ]; do
		sleep 1
	done
	if kill "$writer" 2>/dev/null; then
		sleep 1
		# Waiting for a writer that nothing ends would be no use.
		kill -0 "$writer" 2>/dev/null || wait "$writer" 2>/dev/null
		echo "memory$1: $(state_of "$1") (still at it after $seconds s)"
	else
		wait "$writer"
		echo "memory$1: $(state_of "$1") (write: status $?)"
	fi
}

try_all() {
	for block in $(blocks_of "$node"); do
		try_offline "$block"
	done
}

online_all() {
	for block in $blocks; do
		[ "$(state_of "$block")" = online ] ||
			echo online_movable >"$memory/memory$block/state"
	done
}

clean_up() {
	trap - EXIT INT TERM
	[ -z "${holder:-}" ] || kill "$holder" 2>/dev/null
	[ -z "${work:-}" ] || rm -rf "$work"
	[ -z "${blocks:-}" ] || online_all
}

[ "$(id -u 2>/dev/null || echo 0)" = 0 ] || fail "not root" 2
node=${1:-}
if [ -z "$node" ]; then
	for path in "$nodes"/node[0-9]*; do
		one=${path##*/node}
		if is_movable "$one"; then
			node=$one
		fi
	done
	[ -n "$node" ] || fail "no node has all of its memory in ZONE_MOVABLE; boot with movable_node" 4
fi
is_movable "$node" || fail "node $node has memory outside of ZONE_MOVABLE, or none" 4
if [ ! -x "$program" ] && command -v gcc >/dev/null; then
	gcc -O2 -static -pthread -o "$program" "$program.c" @LIBRARIES@ || fail "gcc failed"
fi
[ -x "$program" ] || fail "no gcc here: compile $program.c elsewhere (gcc -O2 -static -pthread)"

blocks=$(blocks_of "$node")
work=${TMPDIR:-/tmp}/@NAME@.$$
mkdir "$work" || fail "cannot make $work"
trap 'clean_up; exit 130' INT TERM
trap clean_up EXIT
lines=$(dmesg 2>/dev/null | wc -l)
"$program" "$node" </dev/null >"$work/said" 2>&1 &
holder=$!
while kill -0 "$holder" 2>/dev/null &&
	! grep -q -E '^(held|refused|failed|unsupported)' "$work/said"; do
	sleep 1
done
cat "$work/said"
grep -q -E '^(held|refused)' "$work/said" || fail "nothing was held"

echo "-- while pages are held, node $node"
try_all >"$work/first"
cat "$work/first"
echo "-- the kernel's log"
dmesg 2>/dev/null | tail -n +$((lines + 1)) | grep -E 'migrat|isolat|page|offlin' | head -n 20
kill "$holder" # SIGTERM lets go
wait "$holder" 2>/dev/null
holder=
sleep 1
online_all
echo "-- after they were let go"
try_all >"$work/second"
cat "$work/second"
online_all
echo "-- @NAME@ on $(uname -r): $(grep -c ': offline' "$work/first") of $(wc -l <"$work/first") blocks" \
	"went while held, $(grep -c ': offline' "$work/second") afterwards"
