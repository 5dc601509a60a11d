#!/bin/bash
# npm run test:images: builds the images of API, dispatcher and worker-cpu with buildah, which needs
# no daemon, and runs them as Kubernetes would: read-only root, no user, no rights. Needs root,
# buildah, debootstrap and redis-server. Where the base cannot be pulled, a stand-in is made of the
# same Debian and this Node.
set -euo pipefail
cd "$(dirname "$0")/../.."
for tool in buildah debootstrap redis-server unshare; do
  command -v "$tool" > /dev/null || { echo "needs $tool (and root)" >&2; exit 1; }
done
base="$(sed -n 's/^ARG NODE_IMAGE=//p' Dockerfile)"
work="$(mktemp -d)"
pids=()
containers=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2> /dev/null || true; done
  for c in "${containers[@]}"; do buildah rm "$c" > /dev/null; done
  rm -rf "$work"
}
trap finish EXIT

stand_in() {
  echo "$base cannot be pulled: a stand-in is made"
  debootstrap --variant=minbase bookworm "$work/root" > "$work/debootstrap.log"
  cp "$(node -p process.execPath)" "$work/root/usr/local/bin/node"
  mkdir -p "$work/root/usr/local/lib/node_modules" "$work/root/etc/ssl/certs"
  cp -r "$(dirname "$(readlink -f "$(command -v npm)")")/.." "$work/root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/root/usr/local/bin/npm"
  cp -L /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/"
  local c
  c="$(buildah from scratch)"
  cp -a "$work/root/." "$(buildah mount "$c")/"
  buildah config --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
    --env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$c"
  buildah commit --quiet --rm "$c" "$base" > /dev/null
}

# in_image ROOT COMMAND…: as the image's user, in its file system, which is read-only.
in_image() {
  # shellcheck disable=SC2016
  exec unshare --mount --fork --kill-child=TERM sh -c '
    root="$1"; shift
    mount --bind "$root" "$root" && mount -o remount,ro,bind "$root"
    mount -t tmpfs tmpfs "$root/tmp" && mount --bind "$BLOBS" "$root/data/blobs"
    mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev"
    cd / && exec env -u NODE_EXTRA_CA_CERTS chroot "$root" setpriv --reuid 1000 --regid 1000 \
      --clear-groups --no-new-privs --bounding-set=-all \
      /bin/sh -c "cd /app && exec \"\$@\"" sh "$@"
  ' sh "$@"
}

if ! buildah inspect --type image "$base" > /dev/null 2>&1 \
  && ! buildah pull --quiet "$base" > /dev/null 2>&1; then
  base="${base%@*}"
  buildah inspect --type image "$base" > /dev/null 2>&1 || stand_in
fi

export BLOBS="$work/blobs"
install -d -o 1000 -g 1000 "$BLOBS"
redis-server --port 16379 --save '' --dir "$work" > /dev/null &
pids+=($!)
export REDIS_URL=redis://127.0.0.1:16379 HEADRACE_AUTH=off HEADRACE_BLOBS=/data/blobs
export PORT=18000 HEADRACE_PROBES_PORT=18001 HEADRACE_DISPATCHER_PROBES_PORT=18002 NODE_ENV=production

declare -A variable=([api]=PORT [worker-cpu]=HEADRACE_PROBES_PORT
  [dispatcher]=HEADRACE_DISPATCHER_PROBES_PORT) roots=() started=()
for target in api dispatcher worker-cpu; do
  buildah bud --isolation chroot --pull-never --layers --build-arg "NODE_IMAGE=$base" \
    --target "$target" --tag "headrace-$target" . \
    > "$work/build.log" 2>&1 || { tail -20 "$work/build.log"; exit 1; }
  c="$(buildah from --pull-never "headrace-$target")"
  containers+=("$c")
  roots[$target]="$(buildah mount "$c")"
  app="${target%-cpu}"
  (in_image "${roots[$target]}" /usr/bin/tini -- node "apps/$app/src/main.ts") \
    > "$work/$target.log" 2>&1 &
  started[$target]=$!
  pids+=($!)
done
for target in api dispatcher worker-cpu; do
  for ((i = 0; i < 60; i++)); do
    (in_image "${roots[$target]}" node scripts/images/health.mjs "${variable[$target]}" 1) && break
    sleep 0.5
  done
  ((i < 60)) || { cat "$work/$target.log"; echo "$target is not healthy" >&2; exit 1; }
  echo "$target: healthy ($(du -sm "${roots[$target]}/app" | cut -f1) MB in /app)"
done
for ((i = 0; i < 60; i++)); do
  curl -sf http://127.0.0.1:18000/ready > /dev/null && break
  sleep 0.5
done
answer="$(curl -s http://127.0.0.1:18000/predict -H 'content-type: application/json' \
  -d '{"text": "Absolutely love this jacket, it fits perfectly."}')"
echo "answer: $answer"
[[ "$answer" == *'"label":"positive"'* ]]
for target in api dispatcher worker-cpu; do
  pid="$(pgrep -P "${started[$target]}" | head -1)"
  kill -TERM "${pid:-${started[$target]}}"
  code=0
  wait "${started[$target]}" || code=$?
  echo "$target: stopped with $code"
  ((code == 0))
done
echo "3 images built, healthy, of use and stopped"
