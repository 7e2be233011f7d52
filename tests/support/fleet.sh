# A fleet on this machine. Scripts source this file after prepare.sh. The fleet has a folder and
# addresses in 127/8 of its own, and the shipped files of cron/ and rsyncd/.
#
#   start_fleet HOSTS SOURCE_ROOT [OPTION...]   starts Redis, a master with these options, HOSTS minions; all
#                                               linger; returns when Redis has seen them
#   make_host NAME ADDRESS SOURCE_ROOT          makes a host's folder before it starts, for other settings
#   make_payload BYTES                          makes a random file in $folder/sources; sets `payload` (openssl)
#   end_fleet                                   ends all programs; their files stay
#   redis COMMAND...                            calls redis-cli
#   check_programs                              ends the script if a program of the fleet has ended
#   peak_kb PROGRAM                             prints the peak memory of one such program, without its rsyncs
#   is_over                                     whether no run is in progress; calls check_programs
#   check_outcome                               ends the script if the last run was not complete
#   median                                      prints the median of the numbers on its input, one on each line
#   watch_redis, end_watch                      records all commands of Redis between the two, which costs time
#   since_set first|last WORD                   prints the ms from `set task` to a recorded command with WORD
#   in_background LOG COMMAND...                starts another program that ends with the fleet
#   until_holds NAME COMMAND...                 waits until COMMAND succeeds, ten seconds at most
#
# It sets `folder`, which holds master/, minion1/ … with repo, logs and configuration. In `net` the master is
# $net.2 and minion I is $net.(100+I). `started` holds the process ids. The script's end deletes the folder.

redis_port=6390
rsync_port=8730  # As make_host configures it.

folder=$(mktemp -d "${TMPDIR:-/tmp}/sync-fleet-XXXXXX")
chmod 755 "$folder"  # As root, the daemons run as another user.
started=()

# Ends the programs in reverse order, so each one before the servers that it uses.
end_fleet() {
  local i
  for ((i = ${#started[@]} - 1; i >= 0; i--)); do
    kill "${started[i]}" 2>/dev/null && wait "${started[i]}" 2>/dev/null || true
  done
  started=()
}

clean_up() {
  trap - EXIT INT TERM
  end_fleet
  chmod -R u+rwx "$folder" 2>/dev/null || true
  rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

in_background() {
  local log=$1
  shift
  "$@" >>"$log" 2>&1 &
  started+=($!)
}

answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

fail_with_logs() {  # MESSAGE
  find "$folder" -maxdepth 2 \( -name '*.log' -o -name '*.out' \) -exec tail -v -n 5 {} + >&2
  fail "$1: see above"
}

until_holds() {
  local what=$1 i
  shift
  for ((i = 0; i < 200; i++)); do
    "$@" && return
    sleep 0.05
  done
  fail_with_logs "$what did not come up"
}

redis() { redis-cli -h "$net.1" -p $redis_port "$@"; }

peak_kb() {
  local pid
  for pid in "${started[@]}"; do
    [ "$(<"/proc/$pid/comm")" = "$1" ] || continue
    sed -n 's/^VmHWM:\s*\([0-9]*\) kB/\1/p' "/proc/$pid/status"
  done | sort -n | tail -n 1
}

check_programs() {
  local pid
  for pid in "${started[@]}"; do
    kill -0 "$pid" 2>/dev/null || fail_with_logs "a program of the fleet has ended"
  done
}
is_over() {
  local left
  check_programs
  left=$(redis exists task sync:run) || fail "Redis does not answer: see above"
  [ "$left" -eq 0 ]
}
check_outcome() {
  [ "$(redis hget sync:last outcome)" = complete ] || fail "the run ended as $(redis hget sync:last outcome)"
}

median() { sort -n | awk '{all[NR] = $1} END {print all[int((NR + 1) / 2)]}'; }

watch_redis() {
  : >"$folder/monitor"
  redis-cli -h "$net.1" -p $redis_port monitor >"$folder/monitor" 2>/dev/null &  # Not redis(), to get its process id.
  monitor=$!
  until_holds "Redis to be watched" test -s "$folder/monitor"
}
end_watch() { kill "$monitor" && wait "$monitor" 2>/dev/null || true; }
since_set() {
  awk -v which="$1" -v call="\"$2\"" '
    tolower($0) ~ /"set" "task"/ {begun = $1}
    index($0, call) && (which == "last" || !at) {at = $1}
    END {printf "%.0f\n", (at - begun) * 1000}' "$folder/monitor"
}

has_seen() { [ "$(redis zcard sync:minions)" -ge "$1" ]; }

make_payload() {  # BYTES
  mkdir "$folder/sources"
  payload=$folder/sources/payload
  openssl enc -aes-128-ctr -nosalt -pass pass:any </dev/zero 2>/dev/null | head -c "$1" >"$payload" || true
  [ "$(stat -c %s "$payload")" -eq "$1" ] || fail "no space for the payload in '$folder': set TMPDIR"
}

make_host() { "$top/tests/support/make_host" "$folder/$1" "$2" "redis://$net.1:$redis_port/0" "$3"; }

set_up_host() {  # NAME ADDRESS SOURCE_ROOT
  [ -d "$folder/$1" ] || make_host "$@"
  in_background "$folder/$1/rsyncd.out" rsync --daemon --no-detach --config "$folder/$1/rsyncd.conf"
  until_holds "the rsync daemon of $1" answers "$2" $rsync_port
}

start_fleet() {
  local hosts=$1 source_root=$2 i
  shift 2
  in_background "$folder/redis.log" redis-server --bind "$net.1" --port $redis_port --dir "$folder" --save ''
  until_holds "redis-server" answers "$net.1" $redis_port
  set_up_host master "$net.2" "$source_root"
  in_background "$folder/master/master.log" \
    "$programs/sync-master" --config "$folder/master/sync.toml" --linger 2h "$@"
  for ((i = 1; i <= hosts; i++)); do
    set_up_host "minion$i" "$net.$((100 + i))" "$source_root"
    in_background "$folder/minion$i/minion.log" \
      "$programs/sync-minion" --config "$folder/minion$i/sync.toml" --linger 2h
  done
  until_holds "a minion" has_seen "$hosts"
}

# Finds an address range in 127/8 where no program listens.
for _ in {1..50}; do
  net=127.$((RANDOM % 200 + 20)).$((RANDOM % 200 + 20))
  answers "$net.1" $redis_port || answers "$net.2" $rsync_port || break
done
