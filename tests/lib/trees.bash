# SPDX-License-Identifier: MIT
# Comparing trees of files.

# Names, types, modes, sizes, times of files and link targets below a directory.
shape() {
        (cd "$1" && find . -mindepth 1 \( -type d -printf '%p %y %m\n' -o -type l -printf '%p %y %l\n' \
                -o -printf '%p %y %m %s %T@\n' \) | sort)
}

# same_tree A B: equal in all that, and in their contents.
same_tree() {
        run_cmd diff -r --no-dereference "$1" "$2"
        shape "$1" >"$SCRATCH/.shape1"
        shape "$2" >"$SCRATCH/.shape2"
        run_cmd diff "$SCRATCH/.shape1" "$SCRATCH/.shape2"
}
