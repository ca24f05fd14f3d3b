#!/bin/sh
# The first start makes the server's own tables, the database and its user; every start serves.
set -eu
data=/var/lib/mysql
if [ ! -d "$data/mysql" ]; then
    root_password=$(cat "$MARIADB_ROOT_PASSWORD_FILE")
    password=$(cat "$MARIADB_PASSWORD_FILE")
    mariadb-install-db --no-defaults --datadir="$data" --auth-root-authentication-method=normal --skip-test-db >&2
    mariadbd --no-defaults --datadir="$data" --bootstrap <<EOF
FLUSH PRIVILEGES;
ALTER USER root@localhost IDENTIFIED BY '$root_password';
CREATE DATABASE \`$MARIADB_DATABASE\`;
CREATE USER '$MARIADB_USER'@'%' IDENTIFIED BY '$password';
GRANT ALL ON \`$MARIADB_DATABASE\`.* TO '$MARIADB_USER'@'%';
EOF
fi
exec mariadbd --no-defaults --datadir="$data" --bind-address=0.0.0.0 --socket=/run/mysqld/mysqld.sock "$@"
