# shellcheck shell=bash
# Makes a directory with a ttyd in it that needs nothing of the machine but its kernel: the packages of a newer
# Debian, with their own C library and loader, on a machine whose own are older.
#
#   bin/ttyd       a small script that starts it
#   root/          the packages, unpacked
#   evlib/         the one plugin that libwebsockets looks for by LD_LIBRARY_PATH
#   packages.txt   what was unpacked
#
# The directory can be moved: everything in it finds the rest from where it is.
#
# Needs say.sh and ttyd.sh (for the version that is wanted).

# The directory name of this machine's libraries.
prefix_triplet() {
    case $1 in
    amd64) printf 'x86_64-linux-gnu\n' ;;
    arm64) printf 'aarch64-linux-gnu\n' ;;
    *)
        die "$EX_UNAVAILABLE" "no ttyd can be fetched for $1, only for amd64 and arm64" \
            "Install ttyd $TTYD_WANTED or newer and start again, or name it in BERTH_TTYD."
        ;;
    esac
}

# prefix_unpack WORLD PREFIX ARCHITECTURE: the packages of the world's cache, made into a prefix.
prefix_unpack() {
    local world=$1 prefix=$2 triplet deb loader plugin
    triplet=$(prefix_triplet "$3")
    mkdir -p "$prefix/bin" "$prefix/evlib" "$prefix/root"
    for deb in "$world"/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$prefix/root" || return 1
        # shellcheck disable=SC2016 # these are dpkg's variables
        dpkg-deb -W --showformat '${Package} ${Version}\n' "$deb" >>"$prefix/packages.txt"
    done
    loader=$(cd "$prefix/root/usr/lib/$triplet" && printf '%s\n' ld-linux-*.so.* | head -n 1)
    plugin=$(cd "$prefix/root/usr/lib/$triplet" && printf '%s\n' libwebsockets-evlib_uv.so* | head -n 1)
    ln -s "../root/usr/lib/$triplet/$plugin" "$prefix/evlib/libwebsockets-evlib_uv.so"
    cat >"$prefix/bin/ttyd" <<EOF
#!/bin/sh
# Starts the ttyd of this directory with its own loader and libraries. LD_LIBRARY_PATH, which the shells in the
# terminal inherit, names nothing but the plugin that libwebsockets finds that way.
here=\$(readlink -f -- "\$0")
here=\${here%/bin/ttyd}
libraries=\$here/root/usr/lib/$triplet
loader=\$libraries/$loader
plugins=\$here/evlib
# Both lists of directories are split at blanks and colons: a path that has some goes in by an open directory.
case \$here in
*[!A-Za-z0-9/._+~-]*)
    exec 8<"\$libraries" 9<"\$plugins"
    libraries=/proc/self/fd/8
    plugins=/proc/self/fd/9
    ;;
esac
LD_LIBRARY_PATH=\$plugins exec "\$loader" --library-path "\$libraries" "\$here/root/usr/bin/ttyd" "\$@"
EOF
    chmod 755 "$prefix" "$prefix/bin/ttyd"
    prefix_complete "$prefix" "$prefix/root/usr/lib/$triplet" "$loader"
}

# prefix_complete PREFIX LIBRARIES LOADER: does every library come from the prefix itself? One taken from the
# machine would work today and fail after its next upgrade.
prefix_complete() {
    local prefix=$1 libraries=$2 loader=$3 file list foreign
    # By an open directory, as in the script above, for the sake of odd paths.
    exec 6<"$libraries"
    for file in "$prefix/root/usr/bin/ttyd" "$prefix/evlib/libwebsockets-evlib_uv.so"; do
        list=$("$libraries/$loader" --inhibit-cache --library-path /proc/self/fd/6 --list "$file") || return 1
        foreign=$(awk -v loader="$loader" \
            '/=>/ && index($0, "=> /proc/self/fd/6/") == 0 && index($1, loader) == 0 { print $1 }' <<<"$list")
        if [[ -n $foreign ]]; then
            warn "libraries of ${file##*/} that aren't in the packages: $foreign"
            return 1
        fi
    done
}
