# shellcheck shell=bash
# Makes a directory with a program in it that needs nothing of the machine but its kernel: the packages of a newer
# Debian, with their own C library and loader, on a machine whose own are older.
#
#   bin/<program>  a small script that starts it
#   root/          the packages, unpacked
#   plugins/       the ones that a library of it looks for by LD_LIBRARY_PATH; libwebsockets of ttyd does
#   packages.txt   what was unpacked
#
# The directory can be moved: everything in it finds the rest from where it is.
#
# Needs say.sh.

# The directory name of this machine's libraries.
prefix_triplet() {
    case $1 in
    amd64) printf 'x86_64-linux-gnu\n' ;;
    arm64) printf 'aarch64-linux-gnu\n' ;;
    *)
        die "$EX_UNAVAILABLE" "no programs can be fetched for $1, only for amd64 and arm64" \
            "Install what is missing by other means, or name it in BERTH_TTYD and BERTH_RESTIC."
        ;;
    esac
}

# prefix_unpack WORLD PREFIX ARCHITECTURE PROGRAM [PLUGIN...]: the packages of the world's cache, made into a prefix.
# Plugins are patterns of file names among the libraries.
prefix_unpack() {
    local world=$1 prefix=$2 program=$4 triplet deb loader pattern plugin
    local -a plugins=("${@:5}")
    triplet=$(prefix_triplet "$3")
    mkdir -p "$prefix/bin" "$prefix/plugins" "$prefix/root"
    for deb in "$world"/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$prefix/root" || return 1
        # shellcheck disable=SC2016 # these are dpkg's variables
        dpkg-deb -W --showformat '${Package} ${Version}\n' "$deb" >>"$prefix/packages.txt"
    done
    loader=$(cd "$prefix/root/usr/lib/$triplet" && printf '%s\n' ld-linux-*.so.* | head -n 1)
    for pattern in "${plugins[@]}"; do
        # shellcheck disable=SC2086 # the pattern is to be expanded
        plugin=$(cd "$prefix/root/usr/lib/$triplet" && printf '%s\n' $pattern | head -n 1)
        ln -s "../root/usr/lib/$triplet/$plugin" "$prefix/plugins/${pattern%\*}"
    done
    prefix_launcher "$program" "$triplet" "$loader" >"$prefix/bin/$program"
    chmod 755 "$prefix" "$prefix/bin/$program"
    prefix_complete "$prefix" "$prefix/root/usr/lib/$triplet" "$loader" "$program"
}

# prefix_launcher PROGRAM TRIPLET LOADER: the script that starts it.
prefix_launcher() {
    cat <<EOF
#!/bin/sh
# Starts the $1 of this directory with its own loader and libraries. LD_LIBRARY_PATH, which what it starts
# inherits, names nothing but the plugins that are found that way.
here=\$(readlink -f -- "\$0")
here=\${here%/bin/$1}
libraries=\$here/root/usr/lib/$2
loader=\$libraries/$3
plugins=\$here/plugins
# Both lists of directories are split at blanks and colons: a path that has some goes in by an open directory.
case \$here in
*[!A-Za-z0-9/._+~-]*)
    exec 8<"\$libraries" 9<"\$plugins"
    libraries=/proc/self/fd/8
    plugins=/proc/self/fd/9
    ;;
esac
LD_LIBRARY_PATH=\$plugins exec "\$loader" --library-path "\$libraries" "\$here/root/usr/bin/$1" "\$@"
EOF
}

# prefix_complete PREFIX LIBRARIES LOADER PROGRAM: does every library come from the prefix itself? One taken from the
# machine would work today and fail after its next upgrade.
prefix_complete() {
    local prefix=$1 libraries=$2 loader=$3 file list foreign
    # By an open directory, as in the script above, for the sake of odd paths.
    exec 6<"$libraries"
    for file in "$prefix/root/usr/bin/$4" "$prefix"/plugins/*; do
        if [[ ! -e $file ]]; then
            continue
        fi
        list=$("$libraries/$loader" --inhibit-cache --library-path /proc/self/fd/6 --list "$file") || return 1
        foreign=$(awk -v loader="$loader" \
            '/=>/ && index($0, "=> /proc/self/fd/6/") == 0 && index($1, loader) == 0 { print $1 }' <<<"$list")
        if [[ -n $foreign ]]; then
            warn "libraries of ${file##*/} that aren't in the packages: $foreign"
            return 1
        fi
    done
}
