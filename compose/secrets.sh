#!/bin/sh
# Writes passwords made here and now to compose/secrets.env, or another file, unless it is there.
set -eu
umask 077
file="${1:-$(dirname "$0")/secrets.env}"
[ -s "$file" ] && exit 0
secret() { python3 -c 'import secrets; print(secrets.token_hex(24))'; }
{
    echo "# Made by compose/secrets.sh; never committed. Changing one needs its volume changed as well."
    for name in REDIS_PASSWORD POSTGRES_PASSWORD MINIO_ROOT_PASSWORD GRAFANA_ADMIN_PASSWORD \
        AIRFLOW_ADMIN_PASSWORD AIRFLOW_JWT_SECRET; do
        echo "$name=$(secret)"
    done
    # Fernet takes 32 bytes in URL-safe base64.
    echo "AIRFLOW_FERNET_KEY=$(python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())')"
} > "$file.new"
mv "$file.new" "$file"
echo "made $file"
