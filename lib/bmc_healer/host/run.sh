# Runs one command for at most a number of seconds and says what became of it, with nothing but a POSIX sh.
# sh -c THIS bmc_healer END LIMIT MARK COMMAND [ARGUMENT...]
# The last line on stdout is END and an exit status, or "late" (ended by us at the limit), or "stuck" (it
# survives KILL); the last line on stderr is END. Whoever reads these need not wait for the pipes to close,
# which a process in D state would keep open.
end=$1 limit=$2 mark=$3
shift 3
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
[ -z "$mark" ] || { BMC_HEALER_MARK=$mark; export BMC_HEALER_MARK; }

report() {
    trap '' USR1 TERM
    [ -z "$alarm" ] || kill -TERM "$alarm" 2>/dev/null
    printf '\n%s %s\n' "$end" "$1"
    printf '\n%s\n' "$end" >&2
    exit 0
}
living() {
    line=
    { read -r line < "/proc/$pid/stat"; } 2>/dev/null
    case ${line##*) } in '' | Z* | X*) return 1 ;; esac
}
signal() {
    kill "-$1" "-$pid" 2>/dev/null || kill "-$1" "$pid" 2>/dev/null
    for _ in 1 2; do
        living || return 0
        sleep 1
    done
    living && return 1
    return 0
}
expired() {
    trap '' USR1
    signal TERM || signal KILL || report stuck
    report late
}

alarm=
exec 3<&0 </dev/null
# Started before the command: `$!` is then empty in here until its own sleep runs.
(
    # KILL: a child that still has this shell's handler, before its exec, loses a TERM.
    trap 'kill -KILL $! 2>/dev/null; exit 0' TERM
    sleep "$limit" &
    wait $!
    kill -USR1 $$
) 3<&- >/dev/null 2>&1 &
alarm=$!
trap expired USR1
# A session of its own makes the command and its children one group to signal.
if command -v setsid >/dev/null 2>&1; then
    setsid "$@" <&3 3<&- &
else
    "$@" <&3 3<&- &
fi
pid=$!
exec 3<&-
wait "$pid"
report $?
