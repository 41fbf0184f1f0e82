#!/usr/bin/env bash
# Installs what building and testing nebula-swift needs beside the Swift toolchain: Debian packages, and a
# Python virtual environment (.venv) for the sandbox and the tests. Says what it installs; a second run is quick.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  # to compile and link Swift on Debian
  binutils gcc libc6-dev libgcc-12-dev libstdc++-12-dev libxml2 libncurses6 libedit2 libsqlite3-0 tzdata
  # to build and to run this repository's scripts
  make git pkg-config ca-certificates python3 python3-venv procps
  # the libraries of docs/decisions/0001-dependencies.md
  libcurl4-openssl-dev libmongoc-dev libbson-dev libssl-dev libzstd-dev libsnappy-dev libisal-dev
  zlib1g-dev libyaml-dev libsqlite3-dev libtomlplusplus-dev
  # the limit that `make bench` compares with; never linked into the program
  libsimdjson-dev
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "bootstrap: these Debian packages are missing, and installing them needs root: ${missing[*]}" >&2
    echo "bootstrap: run  sudo scripts/bootstrap.sh  once, then try again" >&2
    exit 3
  fi
  echo "bootstrap: installing Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# The stamp is the requirements' own text: the environment is rebuilt exactly when they change.
if ! cmp -s Sandbox/requirements.txt .venv/requirements.installed 2>/dev/null; then
  echo "bootstrap: creating .venv with $(grep -vc '^\s*\(#\|$\)' Sandbox/requirements.txt) pinned Python packages"
  rm -rf .venv
  python3 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check -r Sandbox/requirements.txt
  cp Sandbox/requirements.txt .venv/requirements.installed
fi

if ! command -v swift >/dev/null; then
  echo "bootstrap: no 'swift' on the PATH. Install the Swift 6.3 toolchain (swift.org) and put its usr/bin on the PATH" >&2
  exit 3
fi
