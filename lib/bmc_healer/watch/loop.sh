# Runs on a watched host under its /bin/sh (dash, busybox ash, bash 4.1 of RHEL 6), fed by `watch/channel.py`:
# answers every line of its stdin, a number, with one snapshot line, and ends with its stdin. It starts no
# process per request, needs no root, and reads nothing that can hang: nothing below ipmi_bmc.*/ or bmc/, and the
# command line only of an IPMI client that is not in D. No argument leaves the host, only what kind it makes.
#
# Opening the files of all processes is what a look costs. So pNUMBER holds for the process of that number, if its name
# does not matter here, at which request the name was last read: negative after the first time. It is read at the
# next request too (fork, then exec), from then on at every sixteenth.
#
#   hello 1 HZ BOOT_ID KERNEL
#   snap NUMBER UPTIME LOAD1 USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL CLIENTS ITEM...
#   ITEM  k:PID:START:TICKS:NAME              kernel thread kipmiN; START and TICKS in 1/HZ s
#         c:PID:START:STATE:KIND:NAME:WCHAN   IPMI client, the first 64; KIND: b in-band, r remote, l long-running
#         d:NAME:COMPLETED:SHORT:LONG:HOSED   counters of one interface of ipmi_si
exec 2>/dev/null
LC_ALL=C
hz=$(getconf CLK_TCK) || hz=100
read -r boot </proc/sys/kernel/random/boot_id
read -r kernel </proc/sys/kernel/osrelease
echo "hello 1 $hz $boot $kernel"

known= turn=0
while read -r number; do
  items= clients=0 listed=
  cd /proc/ || exit
  set -- [0-9]*
  if [ $((turn & 255)) = 0 ]; then # forget who is gone: not read for more than sixteen requests
    for pid in $known; do
      [ $((p$pid > turn - 17 || p$pid < 0 && p$pid < 17 - turn)) = 1 ] || unset "p$pid"
    done
    known=$* listed=yes
  fi
  turn=$((turn + 1))
  for pid in "$@"; do
    [ $((p$pid > 0 && (pid + turn) & 15)) = 0 ] || continue
    IFS= read -r name <"$pid/comm" || continue
    case $name in
      kipmi[0-9]* | \
        ipmitool | ipmiutil | ipmimonitoring | bmc-info | bmc-device | bmc-config | ipmi-sensors* | ipmi-sel | \
        ipmi-fru | ipmi-chassis* | ipmi-raw | ipmi-oem | ipmi-pef* | ipmi-pet | ipmi-dcmi | ipmi-config)
        : $((p$pid = 0)) ;;
      *)
        case $((p$pid)) in
          0)
            sign=-
            [ $listed ] || known="$known $pid" ;;
          *) sign= ;;
        esac
        : $((p$pid = ${sign}turn))
        continue ;;
    esac
    case $name in
      kipmi*) ;;
      *)
        clients=$((clients + 1))
        [ $clients -le 64 ] || continue ;;
    esac
    read -r stat <"$pid/stat" || continue
    # after "pid (name) ": 1 state, 2 parent, 12 utime, 13 stime, 20 start time (proc(5))
    set -- ${stat##*) }
    case $name in
      kipmi*)
        # a kernel thread is a child of kthreadd; a program that merely has the name is not
        [ "$2" = 2 ] && items="$items k:$pid:${20}:$((${12} + ${13})):kipmi${name##*[!0-9]}" ;;
      *)
        kind=b
        if [ "$1" != D ]; then
          arguments=
          IFS= read -r arguments <"$pid/cmdline"
          # read drops the separators: -Ilanplus-H10.1.1.1... for ipmitool, -hdb01 or -DLAN_2_0 for FreeIPMI
          case ${arguments#*"$name"} in
            *-Ilan* | *-Iserial* | *-H* | *-h[0-9a-z]* | *--hostname* | *-DLAN*) kind=r ;;
            *shell | *exec* | *hpm* | *fwum*) kind=l ;;
          esac
        fi
        wchan=
        read -r wchan <"$pid/wchan"
        items="$items c:$pid:${20}:$1:$kind:$name:$wchan" ;;
    esac
  done
  for dir in /sys/class/ipmi/ipmi[0-9]*/device; do
    read -r completed <"$dir/complete_transactions" || continue
    read -r short <"$dir/short_timeouts" || continue
    read -r long <"$dir/long_timeouts" || continue
    read -r hosed <"$dir/hosed_count" || continue
    dir=${dir%/device}
    items="$items d:${dir##*/}:$completed:$short:$long:$hosed"
  done
  for file in /proc/ipmi/[0-9]*/si_stats; do
    completed=
    while read -r key value; do
      case $key in
        complete_transactions:) completed=$value ;;
        short_timeouts:) short=$value ;;
        long_timeouts:) long=$value ;;
        hosed_count:) hosed=$value ;;
      esac
    done <"$file"
    file=${file%/si_stats}
    [ -n "$completed" ] && items="$items d:ipmi${file##*/}:$completed:$short:$long:$hosed"
  done
  read -r uptime rest </proc/uptime
  read -r load rest </proc/loadavg
  read -r cpu user nice system idle iowait irq softirq steal rest </proc/stat
  echo "snap $number $uptime $load $user $nice $system $idle $iowait $irq $softirq $steal $clients$items"
done
