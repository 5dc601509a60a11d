# Copies the models of this image to where the process reads them, if each is what SHA256SUMS says
# and no other is there. sh fetch.sh FROM SHA256SUMS TO
set -eu
cp -R "$1"/. "$3"/
cd "$3"
sha256sum -c "$2"
found="$(find . -type f | wc -l)"
listed="$(wc -l < "$2")"
if [ "$found" -ne "$listed" ]; then
  echo "$found files, $listed in SHA256SUMS" >&2
  exit 1
fi
