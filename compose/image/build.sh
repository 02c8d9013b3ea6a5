#!/bin/sh
# Makes what an image holds: a virtual environment with one service, its hashed dependencies, and
# nothing else. Used by the Dockerfiles, and by the tests where there is no Docker.
#
#   compose/image/build.sh predictor /opt/venv
set -eu
if [ $# -ne 2 ]; then
    echo "usage: $0 SERVICE FOLDER" >&2
    exit 2
fi
service=$1 target=$2
cd "$(dirname "$0")/../.."
if [ ! -f "locks/$service.txt" ]; then
    echo "$0: there is no locks/$service.txt: choose one of" locks/*.txt >&2
    exit 2
fi
# Members of the workspace are built here; mlflow has none, and the command is a library.
case $service in
    mlflow) members="" ;;
    tailrace) members="schemas libs/servicekit libs/local libs/tailrace" ;;
    deployer) members="schemas libs/servicekit services/deployer" ;;
    *) members="schemas libs/servicekit libs/stores services/$service" ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/tools"
"$work/tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r locks/bootstrap.txt
python3 -m venv --without-pip "$target"

VIRTUAL_ENV=$target "$work/tools/bin/uv" pip install --quiet --compile-bytecode --only-binary :all: \
    --require-hashes -r "locks/$service.txt"
for member in $members; do
    VIRTUAL_ENV=$work/tools "$work/tools/bin/uv" build --quiet --wheel --no-build-isolation \
        --python "$work/tools/bin/python" --out-dir "$work/wheels" "$member"
done
[ -z "$members" ] || VIRTUAL_ENV=$target "$work/tools/bin/uv" pip install --quiet \
    --compile-bytecode --no-deps "$work"/wheels/*.whl
