# Shared by the scripts of this folder; sourced, never run.
# Sets: here (this folder), cache (where everything fetched or built is kept, never inside the tree).

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${AMBIDEX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ambidex}
export LC_ALL=C

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

need() { # need COMMAND PACKAGE: the command, or a sentence that names the package it comes in
    command -v "$1" >/dev/null || die "the command '$1' is missing; install the Debian package '$2'."
}

# One holder at a time for the cache: tests run these scripts in parallel.
lock() {
    mkdir -p "$cache" || die "cannot make the cache folder $cache; set AMBIDEX_CACHE to a folder that can be written."
    exec 9>"$cache/lock"
    flock 9
}

# packages GROUP: the names listed in packages.txt for that group
packages() {
    awk -v group="$1" '{ sub(/#.*/, "") } $1 == group { for (i = 2; i <= NF; i++) print $i }' "$here/packages.txt"
}

stamped() { # stamped FILE TEXT: whether FILE says TEXT, i.e. the work was already done for this very input
    [ -f "$1" ] && [ "$(<"$1")" = "$2" ]
}

hash_of() { # hash_of FILE...: one hash over names relative to this folder and contents
    (cd "$here" && sha256sum -- "$@" | sha256sum | cut -c1-16)
}
