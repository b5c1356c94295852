"""The local stack: TimescaleDB and Mosquitto without Docker and without root, and what keeps all processes running.

| module | gives |
|---|---|
| `packages` | `ensure(progress) -> Programs`: unpacked servers, fetched when missing; `ensure_browser(progress)` |
| `folder` | `opened(path)`: the stack's folder, held; `.secret(name)`, `.servers(account)`, `.logs`, `.publish(…)` |
| `account` | `server_account()`: whom the servers run as |
| `port` | `choose(what, wanted, preferred)`: a free port of the loopback interface |
| `postgres`, `mosquitto` | `.create()`, `.role()`, `.url` |
| `supervisor` | `Role`, `Supervisor`: `.start(role)`, `.wait(timeout_s)`, `.pids()`; the end of its block stops all |
| `errors` | `StackError`: one line for the operator, whatever went wrong; exit 1 |

Import from the modules: this one stays free of imports, because `packages` runs before any dependency is installed.

    def up(path: Path, pg_port: int | None = None, mqtt_port: int | None = None) -> None:
        with opened(path) as folder:                                   # Busy, if another stack runs there
            programs, account = ensure(say), server_account()          # Unsupported, if this machine cannot
            servers = folder.servers(account)
            postgres = Postgres(
                programs, servers, choose("PostgreSQL", pg_port), folder.secret("postgres"), account
            )
            mosquitto = Mosquitto(
                programs, servers, choose("Mosquitto", mqtt_port),
                {user: folder.secret(f"mqtt_{user}") for user in USERS}, account,
            )
            with Supervisor(folder.logs, lambda name, what, detail: say(f"{name} {what}: {detail}")) as supervisor:
                for server in (postgres, mosquitto):
                    server.create()
                    supervisor.start(server.role())                    # StartFailed, with the end of its log
                supervisor.start(Role("api", (sys.executable, "-m", "bellwether.cli", "api"), env={...}, ready=...))
                folder.publish({"database_url": postgres.url, "mqtt_url": mosquitto.url, "pids": supervisor.pids()})
                supervisor.wait()                                      # until Ctrl-C or SIGTERM, which is no failure
"""
