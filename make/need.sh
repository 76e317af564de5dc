#!/bin/sh
# need.sh WHAT:PACKAGE... - sees that each WHAT is there, or installs PACKAGE with apt, or says what to install.
# WHAT is a command, NAME.pc (a pkg-config module), venv, or sanitizers (clang's). "optional:WHAT:PACKAGE" only warns.
# NEED=ask prints the packages that are missing and does nothing about it.
set -u

# A library that pkg-config does not know, but the compiler finds.
compiles() {
  case $1 in
    hdf5) header=hdf5.h library=hdf5 ;;
    zlib) header=zlib.h library=z ;;
    jansson) header=jansson.h library=jansson ;;
    *) return 1 ;;
  esac
  mkdir -p build
  # shellcheck disable=SC2086  # lists of options
  printf '#include <%s>\nint main(void) { return 0; }\n' $header |
    ${CC:-gcc} ${CPPFLAGS-} -xc - ${LDFLAGS-} -l$library -o build/.compiles 2>/dev/null && rm build/.compiles
}

have() {
  case $1 in
    *.pc) pkg-config --exists "${1%.pc}" 2>/dev/null || compiles "${1%.pc}" ;;
    sanitizers) [ -e "$(clang --print-resource-dir 2>/dev/null)/lib/linux/libclang_rt.fuzzer-$(uname -m).a" ] ;;
    venv) "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

missing='' optional=''
for entry in "$@"; do
  case $entry in
    optional:*) rest=${entry#optional:}; have "${rest%%:*}" || optional="$optional ${rest##*:}" ;;
    *) have "${entry%%:*}" || missing="$missing ${entry##*:}" ;;
  esac
done
[ "${NEED-}" != ask ] || { echo "$missing$optional"; exit 0; }
[ -n "$missing$optional" ] || exit 0

as_root=''
if [ "$(id -u)" != 0 ]; then
  if sudo -n true 2>/dev/null; then as_root='sudo -n'; else as_root=none; fi
fi
if [ "$as_root" != none ] && command -v apt-get >/dev/null 2>&1; then
  tried="build/.tried$(printf %s "$optional" | tr ' ' -)"
  [ -n "$missing" ] || [ ! -e "$tried" ] || exit 0
  echo "installing:$missing$optional"
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null 2>&1
  # shellcheck disable=SC2086  # lists of package names
  if [ -n "$missing" ]; then
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null || exit 1
  fi
  # shellcheck disable=SC2086
  if [ -n "$optional" ]; then
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $optional >/dev/null 2>&1 ||
      { mkdir -p build && touch "$tried" && echo "note: could not install$optional; going on without"; }
  fi
  exit 0
fi
if [ -n "$missing" ]; then
  echo "These packages are missing; install them and run make again:" >&2
  echo "  apt-get install$missing$optional" >&2
  echo "Without root, or on another system: docs/install.md, \"Without root\"." >&2
  exit 1
fi
exit 0
