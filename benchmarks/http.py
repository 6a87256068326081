"""`validate-gate` over HTTP beside an endpoint that only builds the same response.

Run: `uv run python -m benchmarks.http`. One server process on loopback, keep-alive clients in this one.
"""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import uvicorn

from benchmarks._bench import Row, table
from benchmarks.gate import PHASE, database, seed, vacuum
from omoi_os.api.app import create_app
from omoi_os.api.schemas.gates import GateResultOut, answer_of
from omoi_os.bootstrap import services_on
from omoi_os.services.database import DatabaseService
from omoi_os.settings import Settings

ROUNDS = 7
SECONDS = 1.5
CLIENTS = (1, 8)


def serve(address: str, ticket: str) -> None:
    """The server's process: the application, and the endpoint that it is compared with."""
    services = services_on(DatabaseService(address), Settings())
    fixed = services.gates.validate_gate(ticket, PHASE)
    app = create_app(services)

    @app.post("/bench/response")
    def only_the_response() -> GateResultOut:
        return answer_of(fixed)

    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    socket.listen(128)
    print(socket.getsockname()[1], flush=True)
    server.run([socket])


def rate(port: int, path: str, clients: int) -> float:
    """Answers per second to so many keep-alive clients."""
    counts = [0] * clients
    began = time.perf_counter()

    def run(place: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while time.perf_counter() - began < SECONDS:
            connection.request("POST", path)
            response = connection.getresponse()
            response.read()
            assert response.status == 200, response.status
            counts[place] += 1
        connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def compare(port: int, ticket: str, rounds: int) -> Iterator[Row]:
    """The ratio for each number of clients, as the median over interleaved rounds."""
    paths = {"ours": f"/api/v1/tickets/{ticket}/validate-gate?phase_id={PHASE}", "floor": "/bench/response"}
    for clients in CLIENTS:
        measured: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(rounds):
            for name, path in paths.items():
                measured[name].append(rate(port, path, clients))
        ratio = statistics.median(o / f for o, f in zip(measured["ours"], measured["floor"], strict=True))
        note = ", ".join(f"{name} {statistics.median(values):,.0f}/s" for name, values in measured.items())
        yield Row(f"validate-gate of the bare response, clients: {clients}", ratio, 0.4, "higher", note)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with database() as db:
        ticket = seed(db, 100)
        vacuum(db)
        address = db.engine.url.render_as_string(hide_password=False)
        command = [sys.executable, "-c", f"from benchmarks.http import serve; serve({address!r}, {ticket!r})"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as server:
            assert server.stdout is not None
            try:
                table(compare(int(server.stdout.readline()), ticket, rounds), "over HTTP")
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
