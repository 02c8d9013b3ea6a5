#!/bin/sh
# Unpacks promtool, prometheus and amtool of Debian's packages into a folder: no root, no service.
#
#   compose/prometheus/fetch.sh .tailrace/prometheus && PATH=$PWD/.tailrace/prometheus:$PATH make check-artifacts
set -eu
if [ $# -ne 1 ]; then
    echo "usage: $0 FOLDER" >&2
    exit 2
fi
mkdir -p "$1"
target=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
apt-get -q download prometheus prometheus-alertmanager
for package in ./*.deb; do
    dpkg -x "$package" unpacked
done
cp unpacked/usr/bin/promtool unpacked/usr/bin/prometheus unpacked/usr/bin/amtool "$target"
