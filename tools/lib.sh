# shellcheck shell=bash disable=SC2034 # those who source it use what it sets
# Sourced by every script in tools/: where things are, who runs the servers, and how a script
# ends. Functions only, and nothing here starts or installs anything.
set -euo pipefail
# The server's user reads what we write in the scratch directory.
umask 022

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
TOOLS=$REPO/tools
cd "$REPO"

# cargo's own directory is on PATH in login shells only.
cargo_bin=${CARGO_HOME:-${HOME:-}/.cargo}/bin
[[ ! -d $cargo_bin || :$PATH: == *":$cargo_bin:"* ]] || PATH=$cargo_bin:$PATH
export PATH

# Exported flags replace the ones cargo-pgrx needs, and the generated schema vanishes.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
# A server started with these appends a backtrace to the DETAIL of errors that pass through Rust.
unset RUST_BACKTRACE RUST_LIB_BACKTRACE
# A caller's client settings must not lead a test to another server.
unset PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD PGSERVICE PGOPTIONS PGDATA PGPASSFILE

say() { printf '%s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# toml_keys SECTION, toml_get SECTION KEY: pgrx.toml holds only `key = value` lines in sections.
toml_keys() {
    awk -v want="[$1]" '
        /^\[/ { inside = ($0 == want); next }
        inside && match($0, /^[a-z0-9_.]+ *=/) { key = substr($0, 1, RLENGTH - 1); gsub(/ /, "", key); print key }
    ' "$REPO/pgrx.toml"
}
toml_get() {
    awk -v want="[$1]" -v key="$2" '
        /^\[/ { inside = ($0 == want); next }
        inside && match($0, "^" key " *= *") {
            value = substr($0, RLENGTH + 1); gsub(/^"|"$/, "", value); print value; found = 1; exit
        }
        END { exit !found }
    ' "$REPO/pgrx.toml" || die "pgrx.toml has no $2 in [$1]"
}

PGRX_VERSION=$(toml_get pgrx version)
PG_MAJOR=${PG:-$(toml_get postgres default)}
SYSTEM_PG_CONFIG=${SYSTEM_PG_CONFIG:-$(toml_get configs "pg$PG_MAJOR")}

# cargo-pgrx: another version that the user has installed is left alone, and ours lies here.
PGRX_ROOT=$REPO/target/cargo-pgrx-$PGRX_VERSION
[[ -x $PGRX_ROOT/bin/cargo-pgrx ]] && PATH=$PGRX_ROOT/bin:$PATH

# Everything a test writes lies in one directory of this user and this checkout. It is in /tmp,
# so that the server's user can reach it, and short, for the socket paths inside it.
SCRATCH=/tmp/pg_tenancy-$(id -u)-$(printf '%s' "$REPO" | cksum | cut -d' ' -f1)

make_scratch() {
    mkdir -m 755 "$SCRATCH" 2>/dev/null || true
    [[ -d $SCRATCH && ! -L $SCRATCH && -O $SCRATCH ]] ||
        die "$SCRATCH exists and is not our own directory: remove it, or have it removed"
    chmod 755 "$SCRATCH"
}

# A server refuses to run as root: then it, and whoever reads its files, runs as user postgres.
# setpriv replaces itself by the command, so that a signal sent to the child arrives.
if [[ $(id -u) == 0 ]]; then
    SERVER_USER=postgres
    AS_PG=(setpriv --reuid=postgres --regid=postgres --init-groups
        env -C "$SCRATCH" HOME="$SCRATCH" USER=postgres LOGNAME=postgres)
else
    SERVER_USER=$(id -un)
    AS_PG=(env -C "$SCRATCH")
fi
as_pg() { "${AS_PG[@]}" "$@"; }

# use_build release|dev: choose the private installation that cargo pgrx works with. There are
# two, because `cargo pgrx test` installs a test build, which other tiers must never meet; and
# each goes with one cargo profile, because another PGRX_HOME makes pgrx generate its bindings anew.
use_build() {
    BUILD=$1
    PREFIX=$SCRATCH/pg$PG_MAJOR-$BUILD
    export PGRX_HOME=$SCRATCH/pgrx$PG_MAJOR-$BUILD
    PG_CONFIG=$PREFIX$SYSTEM_PG_CONFIG
    BINDIR=${PG_CONFIG%/*}
    FEATURES=(--no-default-features --features "pg$PG_MAJOR")
}

# on_exit COMMAND: run it when the script ends in whatever way, the last one given first.
CLEANUPS=()
CHILD=
on_exit() { CLEANUPS+=("$1"); }
end_script() {
    local status=$? i
    trap - EXIT
    trap '' INT TERM HUP
    if [[ -n $CHILD ]] && kill -TERM "$CHILD" 2>/dev/null; then wait "$CHILD" 2>/dev/null || true; fi
    for ((i = ${#CLEANUPS[@]} - 1; i >= 0; i--)); do eval "${CLEANUPS[i]}" || true; done
    exit "$status"
}
trap end_script EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# run COMMAND…: bash answers a signal only between foreground commands; a waited-for child can
# be told at once. COMMAND must be a program, not a function.
run() {
    local status=0
    "$@" &
    CHILD=$!
    wait "$CHILD" || status=$?
    CHILD=
    return "$status"
}

# run_logged FILE COMMAND…: the same, its output in FILE and, as it comes, on the screen.
run_logged() {
    local status=0 log=$1 tail
    shift
    : >"$log" # tail may be quicker than the program's shell
    "$@" >"$log" 2>&1 &
    CHILD=$!
    tail -n +1 -f -s 0.2 --pid="$CHILD" "$log" &
    tail=$!
    wait "$CHILD" || status=$?
    CHILD=
    wait "$tail" || true
    return "$status"
}

# make_run NAME: an empty directory of this run, that the server's user owns; sets RUN.
make_run() {
    make_scratch
    sweep_runs
    RUN=$SCRATCH/run/$1.$$
    mkdir -p "$RUN"
    [[ $SERVER_USER == "$(id -un)" ]] || chown "$SERVER_USER:" "$RUN"
    on_exit "end_run '$RUN'"
}
# Whatever was started below a run's directory is stopped, also what a test left behind.
end_run() {
    local file pid
    while IFS= read -r file; do
        as_pg "$BINDIR/pg_ctl" -D "${file%/*}" -m immediate -w stop >/dev/null 2>&1 || true
    done < <(find "$1" -name postmaster.pid 2>/dev/null)
    while IFS= read -r file; do
        pid=$(head -n 1 "$file" 2>/dev/null)
        # Only a process of the server's user, and only a pgbouncer: the number may be reused.
        [[ $pid =~ ^[0-9]+$ && $(cat "/proc/$pid/comm" 2>/dev/null) == pgbouncer ]] || continue
        as_pg sh -c 'kill -TERM "$0"' "$pid" 2>/dev/null || true # built in: a bare machine has no such program
    done < <(find "$1" -name '*.pid' ! -name postmaster.pid 2>/dev/null)
    if [[ -n ${KEEP:-} ]]; then say "kept: $1"; else rm -rf "$1"; fi
}
# Directories of runs that were killed outright.
sweep_runs() {
    local dir
    for dir in "$SCRATCH"/run/*.*; do
        [[ -d $dir ]] || continue
        kill -0 "${dir##*.}" 2>/dev/null || KEEP='' end_run "$dir"
    done
}

# failing FILE PATTERN: the names, in what a tier printed, of the tests that failed; tools/test
# names them again beside the sum, which may be all that somebody sees of a run.
failing() {
    [[ -z ${PGT_TALLY:-} ]] || sed -nE "s/$2/\1/p" "$1" >>"$PGT_TALLY.failing"
}

# finish_tier NAME PASSED FAILED: the last thing that a tier's script does. PGT_TALLY is the
# file from which tools/test reads the counts.
finish_tier() {
    printf 'tier %s: %d passed, %d failed\n' "$1" "$2" "$3"
    [[ -z ${PGT_TALLY:-} ]] || printf '%s %d %d\n' "$1" "$2" "$3" >"$PGT_TALLY"
    (($3 == 0 && $2 > 0)) || exit 1
    exit 0
}

# cargo_counts FILE: sums the `test result:` lines of a cargo test log into PASSED and FAILED.
cargo_counts() {
    failing "$1" '^test (.*) \.\.\. FAILED$'
    read -r PASSED FAILED < <(awk '
        /^test result: / { for (i = 2; i <= NF; i++) { if ($i == "passed;") p += $(i-1); if ($i == "failed;") f += $(i-1) } }
        END { print p + 0, f + 0 }' "$1")
}
