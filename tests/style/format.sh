#!/usr/bin/env bash
# Fails if a C++ file is not as clang-format 14 would write it; names the files and the cure.
set -euo pipefail
cd "$(dirname "$0")/../.."
formatter=$(command -v clang-format-14 || true)
if [ -z "$formatter" ]; then
  echo "clang-format-14 is missing; on Debian: apt-get install clang-format-14"
  exit 1
fi
mapfile -t files < <(find src tests bench -name node_modules -prune -o \
  \( -name '*.h' -o -name '*.cpp' \) -print 2>/dev/null)
if ! "$formatter" --dry-run --Werror "${files[@]}"; then
  echo "Mend it with: $formatter -i FILE..."
  exit 1
fi
echo "${#files[@]} files are formatted"
