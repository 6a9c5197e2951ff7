# One look at a host, printed as sections that procfs.py reads:  sh -s -- NAMES < THIS
# NAMES is an extended regular expression of the program names that matter (clients.py).
# Rules: a handful of forks however many processes there are; no temporary file; nothing is read that can hang.
# That excludes everything under ipmi_bmc.* and bmc/ (D for 100 s with a hung BMC), module parameters while
# another parameter write hangs (they share a lock), and command line and environment of a process that is in D
# inside a page fault or exec (they take its memory lock): who it is that was not asked is listed as unread.

fact() {
    line=
    [ -r "$2" ] && read -r line < "$2"
    [ -z "$line" ] || printf '%s=%s\n' "$1" "$line"
}

files() {
    name=$1
    shift
    for pid in "$@"; do printf '/proc/%s/%s ' "$pid" "$name"; done
}

host() {
    echo '@@ host'
    fact boot_id /proc/sys/kernel/random/boot_id
    fact kernel /proc/sys/kernel/osrelease
    fact load /proc/loadavg
    fact cpu /proc/stat
    for name in product_uuid product_serial board_serial sys_vendor product_name bios_version; do
        fact "$name" "/sys/class/dmi/id/$name"
    done
    command -v ipmitool > /dev/null && echo ipmitool=1
    for path in /sys/firmware/dmi/entries/38-* /sys/bus/acpi/devices/IPI0001*; do
        [ -e "$path" ] && echo had_bmc=1
    done
    # Kernels before 2.6.39, or without dmi-sysfs
    [ -d /sys/firmware/dmi/entries ] || case $(dmidecode -q -t 38) in *'IPMI Device Information'*) echo had_bmc=1 ;; esac
}

counters() {
    for dir in /sys/class/ipmi/ipmi[0-9]*; do
        [ -d "$dir" ] || continue
        echo "@@ interface ${dir##*/}"
        for name in params interrupts_enabled short_timeouts long_timeouts complete_transactions hosed_count; do
            fact "$name" "$dir/device/$name"
        done
    done
    for dir in /proc/ipmi/[0-9]*; do
        [ -d "$dir" ] || continue
        echo "@@ interface ipmi${dir##*/}"
        fact params "$dir/params"
        while read -r name value; do echo "${name%:}=$value"; done < "$dir/si_stats"
    done
}

# What of IPMI processes have open: "h PID DEVICE", and "w PID" who may write a module parameter.
open_files() {
    [ -d /sys/module/ipmi_si ] || grep -q ' ipmidev$' /proc/devices || return 0
    # One ls for all processes: numeric (no name service), symbolic links not followed
    ls -n /proc/[0-9]*/fd | awk '
        /^\/proc\// { split($1, part, "/"); next }
        / -> \/sys\/module\/[^\/]+\/parameters\// && substr($1, 3, 1) == "w" { print "w", part[3] }
        sub(/.* -> \/dev\/ipmi/, "/dev/ipmi") { print "h", part[3], $1 }'
}

in_d() {
    line=
    read -r line < "/proc/$1/stat"
    case ${line##*) } in D*) return 0 ;; esac
    return 1
}

processes() {
    writers=$(printf '%s\n' "$opened" | awk '$1 == "w" { printf " %s ", $2 }')
    # /proc/PID/stat of the processes whose name matters, of everything of user space in D, and of a write to a
    # module parameter that goes on: one that hangs is now in D, now running
    stats=$(cat /proc/[0-9]*/stat | awk -v names="$1" -v writers="$writers" '
        match($0, /\(.*\)/) {
            name = substr($0, RSTART + 1, RLENGTH - 2)
            rest = substr($0, RSTART + RLENGTH + 1)
            split(rest, field, " ")
            writes = field[1] == "R" && index(writers, " " $1 " ")
            if (name ~ names || (field[1] == "D" && field[2] != 2) || writes) print
        }')
    fact uptime /proc/uptime
    echo '@@ stat'
    printf '%s\n' "$stats"
    # Kernel threads (children of 2) have neither command line nor a stack that tells anything.
    pids=$(printf '%s\n' "$stats" | awk 'match($0, /\(.*\)/) { split(substr($0, RSTART + RLENGTH + 1), f, " "); if (f[2] != 2) print $1 }')
    [ -n "$pids" ] || return 0
    # /dev/null keeps `head` printing names when there is one process only.
    stacks=$(head -n 16 /dev/null $(files stack $pids))
    echo '@@ stack'
    # All decide whose command line is read; 200 are told whole, of the rest what shows the driver (655 clients were seen)
    printf '%s\n' "$stacks" | awk '/^==> / { count++ } count <= 201 || /^==> |ipmi/'
    echo '@@ wchan'
    head -c 64 /dev/null $(files wchan $pids)
    echo
    safe= unread=
    for word in $(printf '%s\n%s\n' "$stacks" "$stats" | awk -v writers="$writers" '
        /^==> / { split($2, part, "/"); pid = part[3]; next }
        /^\[</ {
            seen[pid] = 1
            if (/fault|mmap|munmap|mprotect|execve|exit_mm/) locked[pid] = 1
            next
        }
        match($0, /\(.*\)/) {
            split(substr($0, RSTART + RLENGTH + 1), field, " ")
            if (field[2] == 2) next
            if (field[1] ~ /[DR]/ && index(writers, " " $1 " ")) print "w" $1
            why = field[1] != "D" ? "" : locked[$1] ? "l" : seen[$1] ? "" : "u"
            print why $1
        }'); do
        pid=${word#[wlu]}
        case $word in
            w*) writing="$writing $pid" ;;
            l*) unread="$unread $pid" ;;
            # In D, and no stack: it may not be read, or the process was in D for a moment only
            u*) if in_d "$pid"; then unread="$unread $pid"; else safe="$safe $pid"; fi ;;
            *) safe="$safe $pid" ;;
        esac
    done
    echo '@@ unread'
    printf '%s\n' $unread
    [ -n "$safe" ] || return 0
    echo '@@ cmdline'
    head -c 1024 /dev/null $(files cmdline $safe) | tr '\000' '\037'
    echo
    echo '@@ mark'
    head -c 65536 /dev/null $(files environ $safe) | tr '\000' '\n' | sed -n -e '/^==> /p' -e '/^BMC_HEALER_MARK=/p'
}

driver() {
    echo '@@ modules'
    cat /proc/modules
    echo '@@ builtin'
    for dir in /sys/module/*ipmi*; do [ -d "$dir" ] && echo "${dir##*/}"; done
    echo '@@ majors'
    awk '$2 == "ipmidev"' /proc/devices
    echo '@@ nodes'
    ls -nd /dev/ipmi[0-9]* /dev/ipmi/[0-9]* /dev/ipmidev/[0-9]*
    echo '@@ holders'
    printf '%s\n' "$opened" | while read -r what pid device; do
        [ "$what" = h ] || continue
        line=
        read -r line < "/proc/$pid/stat"
        name=${line#*(}
        printf '%s %s %s\n' "$pid" "$device" "${name%)*}"
    done
    echo '@@ parameters'
    [ -z "$writing" ] || echo "writing=$writing"
    file=/sys/module/ipmi_si/parameters/kipmid_max_busy_us
    # Who may not see what others have open does not know that nobody writes.
    [ -n "$writing" ] || [ ! -r /proc/1/fd ] || [ ! -r "$file" ] || { line=; read -r line < "$file"; echo "throttle=$line"; }
}

main() {
    exec 2> /dev/null
    writing=
    host
    opened=$(open_files)
    processes "$1"
    counters
    driver
    echo '@@ end'
}
main "$@" < /dev/null
