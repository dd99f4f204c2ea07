#!/bin/sh
# Compiles the guest's program to $WORK/berth-guest: static, the same bytes for the same compiler.
set -eu
gcc -std=gnu11 -O2 -static -Wall -Wextra -Werror -o "$WORK/berth-guest" "$GUEST"/agent/*.c
strip "$WORK/berth-guest"
