# SPDX-License-Identifier: MIT
# Debian packages: built, installed, used and purged, in a copy of this
# machine's root that goes away with the test.
load ../lib/bucketmap

SOURCE=$BATS_TEST_DIRNAME/../..

setup_file() {
        [ "$(id -u)" -eq 0 ] || return 0
        for command in dpkg-buildpackage dh; do
                command -v "$command" >/dev/null || return 0
        done
        DEB_BUILD_OPTIONS=noautodbgsym "$SOURCE/scripts/package" "$BATS_FILE_TMPDIR/packages" >"$BATS_FILE_TMPDIR/log" 2>&1 || {
                cat "$BATS_FILE_TMPDIR/log"
                return 1
        }
}

require_packages() {
        require_root
        require_command dpkg-buildpackage dh lintian
        packages=$BATS_FILE_TMPDIR/packages
}

# in_copy SCRIPT: bash on a copy-on-write copy of the root directory; what it
# changes stands in $SCRATCH/layer/upper while the test runs. $packages is
# there under the same name.
in_copy() {
        mkdir -p layer
        cat >script
        run_cmd unshare --mount --propagation private bash -euc '
                cd "$1"
                mount -t tmpfs layer layer
                mkdir layer/upper layer/work layer/root
                mount -t overlay -o lowerdir=/,upperdir=layer/upper,workdir=layer/work overlay layer/root
                # the root alone is copied, none of what is mounted below it
                for dir in /proc /sys /dev "$1" "$2"; do
                        mkdir -p "layer/root$dir"
                        mount --rbind "$dir" "layer/root$dir"
                done
                env -i PATH="$PATH" LC_ALL=C.UTF-8 PACKAGES="$2" SCRATCH="$1" \
                        chroot layer/root bash -euxc "cd $1; . ./script"
                # whiteouts and the logs of dpkg aside, a purge leaves nothing
                find layer/upper -path "layer/upper$1" -prune -o -path "layer/upper$2" -prune -o \
                        -name "*bucketmap*" ! -type c -printf "left: %p\n"
        ' sh "$SCRATCH" "$packages"
        refute_output --partial "left: "
}

@test "three packages, and lintian has no errors" {
        require_packages
        run_cmd find "$packages" -name '*.deb' -printf '%f\n'
        assert_equal "$(sed 's/_.*//' <<<"$output" | sort | xargs)" "bucketmap libbucketmap-dev libbucketmap0"
        # 0 whatever it finds: it fails by itself only
        # it leaves files in TMPDIR
        run_cmd env TMPDIR="$BATS_FILE_TMPDIR" lintian --allow-root --fail-on none "$packages"/*.changes
        refute_output --regexp '(^|'$'\n'')E: '
}

@test "the packages work where they are installed, and a purge leaves nothing" {
        require_packages
        require_fuse
        require_command gcc pkg-config
        grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || missing "overlayfs"
        awk '/^```c$/ { code = 1; next } /^```/ { code = 0 } code' "$SOURCE/README.md" >example.c
        in_copy <<'SCRIPT'
dpkg -i "$PACKAGES"/*.deb
# by name, as mount(8) and an fstab line do it
bucketmap create store
bucketmap --version | grep -qF "$(dpkg-query -W -f '${Version}' bucketmap)"
mount -t bucketmap "$SCRATCH/store" mnt
echo hello >mnt/greeting
[ "$(bucketmap refs mnt/greeting)" = "1	mnt/greeting" ]
bucketmap umount mnt
echo "$SCRATCH/store $SCRATCH/mnt fuse.bucketmap noauto 0 0" >>/etc/fstab
mount mnt
[ "$(cat mnt/greeting)" = hello ]
bucketmap umount mnt
bucketmap check store
# a program, with what pkg-config says and nothing else
gcc -std=c17 -Wall -Wextra -Werror -o example example.c $(pkg-config --cflags --libs bucketmap)
./example
ldd example | grep -q 'libbucketmap.so.0 => /'
dpkg --purge bucketmap libbucketmap-dev libbucketmap0
[ ! -e /usr/bin/bucketmap ]
SCRIPT
}

@test "the package's build needs what scripts/packages lists for building" {
        local package
        for package in $(awk '$1 == "build" && $2 ~ /-dev$|^meson$|^scdoc$/ && $2 != "libc6-dev" { print $2 }' \
                "$SOURCE/scripts/packages"); do
                run_cmd grep -qE "^ $package( |,)" "$SOURCE/scripts/debian/control"
        done
}

@test "scripts/package says what it wants" {
        run_cmd "$SOURCE/scripts/package" --help
        assert_line --partial "usage: scripts/package [DIR]"
        run_cmd -2 "$SOURCE/scripts/package" one two
        run_cmd -2 "$SOURCE/scripts/package" --nonsense
}
