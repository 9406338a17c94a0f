#!/bin/sh
# Installs what is missing, builds a release build into build/, runs the server in the foreground with the
# options given. Idempotent. Debian 12, Ubuntu 22.04 and later.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/server/install.sh"

install_packages $BUILD_PACKAGES
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { [ -f "$top/build/build.ninja" ] || meson setup -Dtests=false "$top/build" "$top"; } >"$log" 2>&1 ||
	! ninja -C "$top/build" sherd >"$log" 2>&1; then
	cat "$log" >&2
	exit 1
fi
rm -f "$log"
exec "$top/build/sherd" "$@"
