#!/bin/sh
# Saves every volume of the platform in containers to one file, or puts it back where there is none.
#
#   compose/backup.sh save FILE       # stops the containers meanwhile: all volumes are of one moment
#   compose/backup.sh restore FILE    # then make compose-up
#
# The passwords (secrets.env) are in it too, since the databases know them: keep it as you keep those.
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
project=tailrace
label=com.docker.compose
usage() {
    echo "usage: $0 save|restore FILE" >&2
    exit 2
}
[ $# -eq 2 ] || usage
REDIS_IMAGE=$(sed -n 's/^REDIS_IMAGE=//p' "$here/.env") # has a tar, and is here already
secrets=${SECRETS:-$here/secrets.env}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

volumes() { docker volume ls --quiet --filter "label=$label.project=$project"; }
inside() { # VOLUME MODE COMMAND...: runs a command beside a volume, and nothing else
    volume=$1 mode=$2
    shift 2
    docker run --rm --interactive --network none --user 0 --entrypoint "" \
        --volume "$volume:/volume:$mode" "$REDIS_IMAGE" "$@"
}

save() {
    [ ! -e "$1" ] || { echo "$1 is there already: name another file" >&2; exit 1; }
    found=$(volumes)
    [ -n "$found" ] || { echo "there is nothing to save: no volume of $project" >&2; exit 1; }
    running=$(docker compose --project-name "$project" ps --quiet)
    [ -z "$running" ] || docker compose --project-name "$project" stop
    for volume in $found; do
        echo "saving $volume"
        inside "$volume" ro tar -C /volume -cf - . > "$work/$volume.tar"
    done
    [ -z "$running" ] || docker compose --project-name "$project" start
    cp "$secrets" "$work/secrets.env"
    (cd "$work" && sha256sum -- * > SHA256SUMS)
    tar -C "$work" -czf "$1.part" .
    mv "$1.part" "$1"
    echo "saved $(echo "$found" | wc -l) volumes to $1"
}

restore() {
    tar -C "$work" -xzf "$1"
    (cd "$work" && sha256sum --check --quiet SHA256SUMS) || {
        echo "$1 is damaged: nothing was put back" >&2
        exit 1
    }
    if there=$(volumes) && [ -n "$there" ]; then
        echo "there are volumes already: make compose-down ARGS=--volumes removes them for ever" >&2
        exit 1
    fi
    if [ -s "$secrets" ] && ! cmp -s "$secrets" "$work/secrets.env"; then
        echo "$secrets has other passwords than the backup: move it away" >&2
        exit 1
    fi
    for file in "$work"/*.tar; do
        volume=$(basename "$file" .tar)
        docker volume create --label "$label.project=$project" \
            --label "$label.volume=${volume#"${project}"_}" "$volume" > /dev/null
        inside "$volume" rw tar -C /volume -xf - < "$file"
        echo "restored $volume"
    done
    cp "$work/secrets.env" "$secrets"
    echo "restored; go on with make compose-up"
}

case $1 in
    save) save "$2" ;;
    restore) restore "$2" ;;
    *) usage ;;
esac
