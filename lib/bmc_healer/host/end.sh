# Ends processes:  sh -c THIS bmc_healer < lines of PID START
# START is field 22 of /proc/PID/stat: a number that was given to another process meanwhile is left alone.
# Says "left PID STATE" for each that TERM and KILL did not end, then "end".
living() {
    line= state=
    { read -r line < "/proc/$1/stat"; } 2> /dev/null || return 1
    set -- "$2" ${line##*) }
    state=$2
    [ "${21}" = "$1" ] || return 1
    case $state in Z | X) return 1 ;; esac
}
# each SIGNAL [too]: signal everyone, then wait for those that can end; with `too` for those in D as well, since a
# client that closes the device is in D for a moment. Who stays there takes the signal when it wakes up.
each() {
    for entry in $list; do
        living "${entry%:*}" "${entry#*:}" && kill "-$1" "${entry%:*}"
    done
    for _ in 1 2 3 4 5; do
        waiting=
        for entry in $list; do
            living "${entry%:*}" "${entry#*:}" && [ "$state$2" != D ] && waiting=1 && break
        done
        [ -n "$waiting" ] || return 0
        sleep 1
    done
}
list=
while read -r pid start; do list="$list $pid:$start"; done
each TERM
each KILL too
for entry in $list; do
    living "${entry%:*}" "${entry#*:}" && echo "left ${entry%:*} $state"
done
echo end
