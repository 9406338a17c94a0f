# Sourced by the scripts that build Sherd, from the root of the tree: installs Debian or Ubuntu
# packages that are missing, and builds trees. Both do nothing, and quickly, when nothing is to do.

# What it takes to build the server.
BUILD_PACKAGES="gcc libc6-dev meson ninja-build pkg-config libuv1-dev liburcu-dev libjemalloc-dev
	liblzf-dev"

# Prints those of the packages that aren't installed.
missing_packages() {
	for package in "$@"; do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
		[ "$status" = installed ] || printf ' %s' "$package"
	done
}

# Installs what is missing of the packages, as root or through sudo. Where neither is possible it
# prints the line that somebody else has to run, and fails.
install_packages() {
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	line="apt-get install -y --no-install-recommends$missing"
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
		as_root=sudo
	else
		echo "Packages are missing. Run this as root, then try again:" >&2
		echo "    apt-get update && $line" >&2
		return 1
	fi
	echo "Installing$missing" >&2
	# The package lists may be missing (a fresh container) or too old to be of use.
	{ $as_root env DEBIAN_FRONTEND=noninteractive $line ||
		{ $as_root apt-get update &&
			$as_root env DEBIAN_FRONTEND=noninteractive $line; }; } >&2
}

# build_tree <directory> [meson options]: sets the directory up where that has not been done, and
# builds, all of it or only TARGETS. Its output goes to standard error, for standard output may be a pipe.
build_tree() {
	tree=$1
	shift
	if [ -f "$tree/build.ninja" ]; then
		# it may have been set up to build the server alone
		meson configure "$tree" -Dtests=true >&2 || return 1
	else
		meson setup "$tree" "$@" >&2 || return 1
	fi
	ninja -C "$tree" $TARGETS >&2
}
