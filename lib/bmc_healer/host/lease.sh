# The lease on a host:  sh -c THIS bmc_healer take|deed|give_back|look BOOT_ID OWNER INCIDENT FENCE DEED
# A directory holds it, since mkdir is atomic; its name is the boot, since /var/run outlives a boot on old systems.
# An empty BOOT_ID means the present one.
# Last line: a word (taken, held, kept, gone, rebooted, failed), after it the lease's own lines: OWNER INCIDENT FENCE SINCE, and the DEED.
verb=$1 boot=$2 owner=$3 incident=$4 fence=$5 deed=$6
umask 077
read -r now < /proc/sys/kernel/random/boot_id
boot=${boot:-$now}
[ "$now" = "$boot" ] || { echo rebooted; exit 0; }
base=/run/bmc_healer
[ -d /run ] || base=/var/run/bmc_healer
dir=$base/$boot

load() {
    held_by= held_incident= held_fence=0 since=0 last=
    [ -r "$dir/lease" ] || return 1
    { read -r held_by; read -r held_incident; read -r held_fence; read -r since; read -r last; } < "$dir/lease"
}
save() {
    printf '%s\n' "$owner" "$incident" "$fence" "$since" "$1" > "$dir/new.$$" && mv -f "$dir/new.$$" "$dir/lease" && return
    rm -f "$dir/new.$$" # of a full disk it would keep the directory, a lease without an owner
    return 1
}
say() {
    printf '%s\n' "$1" "$held_by" "$held_incident" "$held_fence" "$since" "$last"
    exit 0
}

case $verb in
    take)
        mkdir -p "$base" || { echo failed; exit 0; }
        for old in "$base"/*; do
            # Leases of earlier boots: whoever took them is gone with its processes.
            [ "$old" = "$dir" ] || [ ! -d "$old" ] || rm -rf "$old"
        done
        if mkdir "$dir" 2> /dev/null; then
            since=$(date +%s)
            save "" || { rmdir "$dir"; echo failed; exit 0; }
            load
            say taken
        fi
        # The other one has made the directory and is about to write.
        for _ in 1 2 3; do
            load && break
            sleep 1
        done
        [ "$held_by" = "$owner" ] && [ "$held_fence" -le "$fence" ] || say held
        save "$last" || { echo failed; exit 0; }
        load
        say taken
        ;;
    deed)
        load || say gone
        [ "$held_by" = "$owner" ] && [ "$held_incident" = "$incident" ] || say held
        fence=$held_fence
        save "$deed" || { echo failed; exit 0; }
        load
        say taken
        ;;
    look)
        [ -d "$dir" ] || say gone
        load
        [ "$held_by" = "$owner" ] || say held
        say kept
        ;;
    give_back)
        load || say gone
        [ "$held_by" = "$owner" ] && [ "$held_incident" = "$incident" ] || say held
        rm -rf "$dir"
        say gone
        ;;
esac
