#!/bin/sh
# msanlibs.sh DIR - builds zlib, jansson and HDF5 for the memory sanitizer, from Debian's source packages, into DIR.
# Asks apt with a state of its own below DIR: the system's lists stay as they are, and no privileges are needed.
set -eu

dir=$1
sources=/etc/apt/sources.list.d/debian.sources
[ -r "$sources" ] || { echo "msanlibs.sh: there is no $sources; this needs Debian 12 or later" >&2; exit 1; }
apt="$dir/apt"
mkdir -p "$apt/parts" "$apt/state/lists/partial" "$apt/cache/archives/partial" "$dir/src"
sed 's/^Types:.*/Types: deb-src/' "$sources" >"$apt/parts/src.sources"
options="-qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$apt/parts -o Dir::State=$apt/state
         -o Dir::Cache=$apt/cache -o APT::Sandbox::User=$(id -un)"
# shellcheck disable=SC2086  # a list of options
{
  apt-get $options update
  cd "$dir/src" && rm -rf ./zlib* ./jansson* ./hdf5*
  apt-get $options source zlib jansson "hdf5=$(dpkg-query -W -f '${source:Version}' libhdf5-dev)" >/dev/null
}
cd "$dir/src"
export CC=clang CFLAGS='-O2 -g -fno-omit-frame-pointer -fsanitize=memory -fPIC'
(cd zlib-* && ./configure --static --prefix="$dir" && make -s libz.a && make -s install) >"$dir/zlib.log" 2>&1
# jansson comes without its configure; the configuration is that of the installed package.
mkdir -p "$dir/jansson"
: >"$dir/include/jansson_private_config.h" # options stand below
cp "$(pkg-config --variable=includedir jansson)"/jansson*.h "$dir/include"
for file in jansson-*/src/*.c; do
  # shellcheck disable=SC2086  # a list of options
  $CC $CFLAGS -DHAVE_STDINT_H -DHAVE_LOCALE_H -DHAVE_UNISTD_H -I"$dir/include" -c "$file" \
    -o "$dir/jansson/$(basename "$file" .c).o"
done
ar rcs "$dir/lib/libjansson.a" "$dir"/jansson/*.o
# The C library alone, of the installed version, whose headers the programs are built with.
(cd hdf5-* && CFLAGS="$CFLAGS -w" ./configure -q --disable-shared --disable-hl --disable-tests --disable-tools \
  --enable-threadsafe --with-default-api-version=v18 && make -s -C src -j "$(nproc)" libhdf5.la &&
  cp src/.libs/libhdf5.a "$dir/lib") >"$dir/hdf5.log" 2>&1
