#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What the README shows, done with an installed copy.

load ../lib/bucketmap

setup() {
        scratch_new
        require_command meson pkg-config gcc
        run_cmd env DESTDIR="$SCRATCH/root" meson install -C "$BUCKETMAP_BUILD" --no-rebuild --quiet
        library=$(find "$SCRATCH/root" -name libbucketmap.so)
        export LD_LIBRARY_PATH=${library%/*} PKG_CONFIG_PATH=${library%/*}/pkgconfig
        export PKG_CONFIG_SYSROOT_DIR=$SCRATCH/root
}

@test "the C example compiles with pkg-config alone, and runs" {
        awk '/^```c$/ { code = 1; next } /^```/ { code = 0 } code' "$BATS_TEST_DIRNAME/../../README.md" >example.c
        grep -q 'int main' example.c
        read -ra flags < <(pkg-config --cflags --libs bucketmap)
        run_cmd gcc -std=c17 -Wall -Wextra -Werror -o example example.c "${flags[@]}"
        run_cmd ./example
}

@test "the installed library shows its soname and nothing but bm_ names" {
        run_cmd readelf -d "$library"
        assert_line --regexp 'SONAME.*libbucketmap\.so\.0'
        nm -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' | sort >names
        grep -qx bm_open names
        run_cmd -1 grep -v '^bm_' names
}

@test "the header compiles alone, as C and as C++" {
        read -ra flags < <(pkg-config --cflags bucketmap)
        echo '#include <bucketmap.h>' >alone.c
        run_cmd gcc -std=c11 -Wall -Wextra -Werror -pedantic "${flags[@]}" -fsyntax-only alone.c
        command -v g++ >/dev/null || skip "missing: g++"
        run_cmd g++ -x c++ -Wall -Wextra -Werror "${flags[@]}" -fsyntax-only alone.c
}

@test "the README names the packages that scripts/packages lists for building" {
        for package in $(awk '$1 == "build" { print $2 }' "$BATS_TEST_DIRNAME/../../scripts/packages"); do
                run_cmd grep -qwF -- "$package" "$BATS_TEST_DIRNAME/../../README.md"
        done
}
