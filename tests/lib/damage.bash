# SPDX-License-Identifier: MIT
# Damage done to a store's files behind its back.

# damage TEXT: flips a bit of each place in the store where TEXT stands
damage() {
        local file offset
        while IFS=: read -r file offset _; do
                printf '\377' | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
        done < <(LC_ALL=C grep -robUaF -- "$1" "$STORE")
}

# flip FILE OFFSET: flips a bit of the byte there
flip() {
        python3 -c '
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte ^ 0x10]))
' "$1" "$2"
}
