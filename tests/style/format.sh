#!/usr/bin/env bash
# Fails if a C++ file is not as clang-format 14 would write it; names the files and the cure.
# FATHOM_CLANG_FORMAT names one where the system's packages are of another version.
set -euo pipefail
cd "$(dirname "$0")/../.."
formatter=${FATHOM_CLANG_FORMAT:-clang-format-14}
if [[ $("$formatter" --version 2>/dev/null) != *'version 14.'* ]]; then
  echo "$formatter: expected clang-format 14, which formats as we do: apt-get install clang-format-14;"
  echo "where there is none (Debian 13): pip install clang-format==14.0.6, and FATHOM_CLANG_FORMAT=PATH"
  exit 1
fi
mapfile -t files < <(find src tests bench -name node_modules -prune -o \
  \( -name '*.h' -o -name '*.cpp' \) -print 2>/dev/null)
if ! "$formatter" --dry-run --Werror "${files[@]}"; then
  echo "Mend it with: $formatter -i FILE..."
  exit 1
fi
echo "${#files[@]} files are formatted"
