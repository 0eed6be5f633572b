# SPDX-License-Identifier: MIT
# What meson install puts where, below DESTDIR, and whether it works there.
load ../lib/bucketmap

SOURCE=$BATS_TEST_DIRNAME/../..

# A build of its own with the usual prefix, of the sources that were tested:
# what was built is taken from there.
setup_file() {
        [ "$(id -u)" -eq 0 ] || return 0
        command -v meson >/dev/null || return 0
        meson setup --prefix=/usr --libdir=lib --buildtype=debugoptimized -Dtests=disabled \
                "$BATS_FILE_TMPDIR/build" "$SOURCE" >"$BATS_FILE_TMPDIR/log" 2>&1 &&
                DESTDIR=$BATS_FILE_TMPDIR/root meson install -C "$BATS_FILE_TMPDIR/build" \
                        >>"$BATS_FILE_TMPDIR/log" 2>&1 || {
                cat "$BATS_FILE_TMPDIR/log"
                return 1
        }
}

setup() {
        scratch_new
        require_root # the sources may be root's alone
        require_command meson
        root=$BATS_FILE_TMPDIR/root
}

@test "every file is below DESTDIR, at its place" {
        (cd "$root" && find . ! -type d ! -path './usr/share/*' -printf '%P %l\n' | sed 's/ $//' | sort) >listed
        cat >wanted <<'LIST'
usr/bin/bucketmap
usr/include/bucketmap.h
usr/lib/libbucketmap.so libbucketmap.so.0
usr/lib/libbucketmap.so.0 libbucketmap.so.0.1.0
usr/lib/libbucketmap.so.0.1.0
usr/lib/pkgconfig/bucketmap.pc
usr/sbin/mount.bucketmap ../bin/bucketmap
usr/sbin/mount.fuse.bucketmap ../bin/bucketmap
usr/sbin/umount.bucketmap ../bin/bucketmap
usr/sbin/umount.fuse.bucketmap ../bin/bucketmap
LIST
        run_cmd diff wanted listed
        assert_file_exists "$root/usr/share/doc/bucketmap/examples/fstab"
        for unit in bucketmap bucketmap-user; do
                run_cmd grep -q '^ExecStart=/usr/bin/bucketmap mount -f ' \
                        "$root/usr/share/doc/bucketmap/examples/$unit.service"
        done
}

@test "nothing installed names the build directory" {
        run_cmd -any grep -rlF --include='*.pc' --include='*.h' --include='*.service' "$BATS_FILE_TMPDIR" "$root"
        assert_equal "$output" ""
        # no search path to where it was built
        run_cmd readelf -d "$root/usr/bin/bucketmap"
        refute_output --regexp 'RPATH|RUNPATH'
}

@test "the installed command works, by its helpers' names too" {
        require_fuse
        BUCKETMAP=$root/usr/bin/bucketmap
        export LD_LIBRARY_PATH=$root/usr/lib
        run_bm create "$STORE"
        run_cmd "$root/usr/sbin/mount.bucketmap" "$STORE" "$MNT" -o nofail
        echo hello >"$MNT/greeting"
        assert_equal "$(cat "$MNT/greeting")" hello
        run_cmd "$root/usr/sbin/umount.bucketmap" "$MNT"
        check_store
}

@test "a program finds the library by pkg-config" {
        require_command gcc pkg-config
        export LD_LIBRARY_PATH=$root/usr/lib PKG_CONFIG_LIBDIR=$root/usr/lib/pkgconfig
        export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
        run_cmd pkg-config --modversion bucketmap
        assert_equal "$output" "$(sed -n "s/^  version: '\(.*\)',/\1/p" "$SOURCE/meson.build")"
        awk '/^```c$/ { code = 1; next } /^```/ { code = 0 } code' "$SOURCE/README.md" >example.c
        read -ra flags < <(pkg-config --cflags --libs bucketmap)
        run_cmd gcc -std=c17 -Wall -Wextra -Werror -o example example.c "${flags[@]}"
        run_cmd ./example
}
